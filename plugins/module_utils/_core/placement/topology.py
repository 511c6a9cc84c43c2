# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules between pods: required pod affinity and anti-affinity, and topology spread.

``Topology`` counts matching pods for each topology value as pods are read, answers whether a node may take
one more pod, and follows the replicas that are placed in thought.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from typing import Any

from .scheduling import Misfit, Node, PodShape, required_terms
from .selectors import label_selector_matches, node_selector_matches, tolerates

Labels = Mapping[str, str]
_Pair = tuple[str, str]


class Topology:
    """The pods around one shape, as counts by topology key and value."""

    def __init__(
        self, shape: PodShape, nodes: Mapping[str, Node], namespace_labels: Callable[[str], Labels]
    ) -> None:
        self._shape = shape
        self._nodes = nodes
        self._namespace_labels = namespace_labels
        self._affinity: Counter[_Pair] = Counter()
        self._anti: Counter[_Pair] = Counter()
        #: Pairs at which somebody else's anti-affinity keeps this shape away.
        self._repelled: Counter[_Pair] = Counter()
        self._spread: list[Counter[str]] = [Counter() for _constraint in shape.spread]
        for counter, constraint in zip(self._spread, shape.spread, strict=True):
            for node in nodes.values():
                if self._counts_for_spread(constraint, node):
                    counter[node.labels[constraint["topologyKey"]]] = 0
        own = (shape.namespace, shape.labels)
        self._own_affinity = self._matches_all(shape.affinity_terms, *own)
        self._own_anti = [term for term in shape.anti_affinity_terms if self._matches(term, *own)]
        self._own_spread = [
            int(label_selector_matches(constraint.get("labelSelector"), shape.labels))
            for constraint in shape.spread
        ]
        self._bound_repel = self._nominated_repel = False
        self._watches = bool(shape.affinity_terms or shape.anti_affinity_terms or shape.spread)

    @property
    def restricts_replicas(self) -> bool:
        """Whether one replica's place limits where the next may go."""
        shape = self._shape
        return bool(shape.affinity_terms or self._own_anti or shape.spread)

    @property
    def order_matters(self) -> bool:
        """Whether the number of replicas that fit depends on which node the scheduler prefers first.

        One rule over one topology key gives the same count in any order; several keys do not.
        """
        keys = {term["topologyKey"] for term in self._own_anti}
        spread = zip(self._shape.spread, self._own_spread, strict=True)
        keys |= {constraint["topologyKey"] for constraint, own in spread if own}
        return len(keys) > 1

    @property
    def is_overlooked(self) -> bool:
        """Whether the scheduler may not see a rule that is counted here.

        It leaves rules between pods out where the pod has none and no bound pod has one against it: then a
        pod that a place is kept for keeps nobody away before it is there.
        """
        shape = self._shape
        own = shape.affinity_terms or shape.anti_affinity_terms
        return self._nominated_repel and not self._bound_repel and not own

    @property
    def follows_first(self) -> bool:
        """Whether nothing is there to be near to, so that the first replica decides for all others."""
        return self._own_affinity and not self._affinity

    def domain(self, node: Node) -> tuple[str | None, ...]:
        """Return where a node is, as far as the shape's pod affinity goes."""
        return tuple(node.labels.get(term["topologyKey"]) for term in self._shape.affinity_terms)

    def copy(self) -> Topology:
        """Return the same counts, for a trial."""
        twin = copy(self)
        twin._affinity, twin._anti = self._affinity.copy(), self._anti.copy()
        twin._spread = [counter.copy() for counter in self._spread]
        return twin

    def observe(self, pod: Mapping[str, Any], node: Node) -> None:
        """Count one bound pod."""
        metadata = pod["metadata"]
        namespace, labels = metadata.get("namespace", ""), metadata.get("labels") or {}
        self._bound_repel |= self._keep_away(pod, node)
        if not self._watches:
            return
        if self._matches_all(self._shape.affinity_terms, namespace, labels):
            for term in self._shape.affinity_terms:
                self._bump(self._affinity, term, node)
        if namespace == self._shape.namespace and "deletionTimestamp" not in metadata:
            for counter, constraint in zip(self._spread, self._shape.spread, strict=True):
                selector = constraint.get("labelSelector")
                # The scheduler counts nothing for a selector that selects everything.
                if selector and label_selector_matches(selector, labels):
                    self._bump_spread(counter, constraint, node)

    def observe_nominated(self, pod: Mapping[str, Any], node: Node) -> None:
        """Count a pod that a place is kept for: it keeps others away already, but nobody follows it yet."""
        self._nominated_repel |= self._keep_away(pod, node)

    def _keep_away(self, pod: Mapping[str, Any], node: Node) -> bool:
        """Count the rules that keep the shape and a pod apart; tell whether the pod's own is among them."""
        repels = False
        metadata, spec = pod["metadata"], pod["spec"]
        namespace, labels = metadata.get("namespace", ""), metadata.get("labels") or {}
        for term in required_terms((spec.get("affinity") or {}).get("podAntiAffinity")):
            if self._matches(term, self._shape.namespace, self._shape.labels, namespace):
                self._bump(self._repelled, term, node)
                repels = True
        for term in self._shape.anti_affinity_terms:
            if self._matches(term, namespace, labels):
                self._bump(self._anti, term, node)
        return repels

    def place(self, node: Node) -> None:
        """Count one replica of the shape itself on the node."""
        if self._own_affinity:
            for term in self._shape.affinity_terms:
                self._bump(self._affinity, term, node)
        for term in self._own_anti:
            self._bump(self._anti, term, node)
        for counter, constraint, own in zip(self._spread, self._shape.spread, self._own_spread, strict=True):
            if own and constraint.get("labelSelector"):
                self._bump_spread(counter, constraint, node)

    def misfit(self, node: Node) -> Misfit | None:
        """Return the rule that keeps one more pod of the shape off the node, if there is one."""
        return self._affinity_misfit(node) or self._anti_affinity_misfit(node) or self._spread_misfit(node)

    def _affinity_misfit(self, node: Node) -> Misfit | None:
        terms = self._shape.affinity_terms
        for term in terms:
            if term["topologyKey"] not in node.labels:
                key = term["topologyKey"]
                return Misfit("affinity", f"has no label {key}, which pod affinity needs", False, needs=key)
        together = all(
            self._affinity[(term["topologyKey"], node.labels[term["topologyKey"]])] > 0 for term in terms
        )
        first = not self._affinity and self._own_affinity
        if together or first:
            return None
        return Misfit("affinity", "runs none of the pods that pod affinity asks for nearby", True)

    def _anti_affinity_misfit(self, node: Node) -> Misfit | None:
        for term in self._shape.anti_affinity_terms:
            key = term["topologyKey"]
            if key in node.labels and self._anti[(key, node.labels[key])] > 0:
                reason = f"pod anti-affinity: a pod it avoids runs in the same {key}"
                return Misfit("anti_affinity", reason, True, has=node.labels[key])
        for key, value in self._repelled:
            if node.labels.get(key) == value:
                reason = f"a pod that avoids this one runs in the same {key}"
                return Misfit("anti_affinity", reason, True, has=value)
        return None

    def _spread_misfit(self, node: Node) -> Misfit | None:
        for counter, constraint, own in zip(self._spread, self._shape.spread, self._own_spread, strict=True):
            key = constraint["topologyKey"]
            if key not in node.labels:
                return Misfit("spread", f"has no label {key}, which topology spread needs", False, needs=key)
            least = min(counter.values(), default=2**31)
            if len(counter) < (constraint.get("minDomains") or 1):
                least = 0
            skew = counter.get(node.labels[key], 0) + own - least
            if skew > constraint["maxSkew"]:
                reason = f"topology spread: one more pod in this {key} makes a skew of {skew}"
                return Misfit("spread", reason, True, has=str(skew), needs=f"<= {constraint['maxSkew']}")
        return None

    def _counts_for_spread(self, constraint: Mapping[str, Any], node: Node) -> bool:
        shape = self._shape
        if any(item["topologyKey"] not in node.labels for item in shape.spread):
            return False
        if (constraint.get("nodeAffinityPolicy") or "Honor") == "Honor":
            if any(node.labels.get(key) != value for key, value in shape.node_selector.items()):
                return False
            if shape.node_affinity is not None and not node_selector_matches(
                shape.node_affinity, node.labels, node.name
            ):
                return False
        if constraint.get("nodeTaintsPolicy") == "Honor":
            return all(tolerates(shape.tolerations, taint) for taint in node.taints)
        return True

    def _bump_spread(self, counter: Counter[str], constraint: Mapping[str, Any], node: Node) -> None:
        if self._counts_for_spread(constraint, node):
            counter[node.labels[constraint["topologyKey"]]] += 1

    @staticmethod
    def _bump(counter: Counter[_Pair], term: Mapping[str, Any], node: Node) -> None:
        key = term["topologyKey"]
        if key in node.labels:
            counter[(key, node.labels[key])] += 1

    def _matches_all(self, terms: Iterable[Mapping[str, Any]], namespace: str, labels: Labels) -> bool:
        terms = tuple(terms)
        return bool(terms) and all(self._matches(term, namespace, labels) for term in terms)

    def _matches(
        self, term: Mapping[str, Any], namespace: str, labels: Labels, owner_namespace: str | None = None
    ) -> bool:
        """Tell whether a pod is what a term speaks of; a term without namespaces means its owner's."""
        names, selector = term.get("namespaces") or (), term.get("namespaceSelector")
        if not names and selector is None:
            names = (owner_namespace or self._shape.namespace,)
        if namespace not in names and (
            selector is None or not label_selector_matches(selector, self._namespace_labels(namespace))
        ):
            return False
        return label_selector_matches(term.get("labelSelector"), labels)
