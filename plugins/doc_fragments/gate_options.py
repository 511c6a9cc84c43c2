# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options in ``module_utils/_arguments.py`` that say what is promoted, and how."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment ``llmops.platform.gate_options``."""

    DOCUMENTATION = r"""
options:
  source:
    description: Where the model was proven.
    type: dict
    required: true
    suboptions:
      environment:
        description: The environment to promote from. What its row in the registry names is what is carried.
        type: str
        required: true
      kubeconfig:
        description:
          - Kubeconfig for its cluster and namespace. By default the connection of the target is used.
        type: path
      context:
        description: Context in it.
        type: str
      host:
        description: URL of its API server, instead of a kubeconfig, such as with two credentials in AWX.
        type: str
      api_key:
        description: Token for it.
        type: str
      ca_cert:
        description: File with the authorities of its certificate.
        type: path
      validate_certs:
        description: Whether its certificate is checked, by default yes.
        type: bool
      access:
        description: How its endpoint is reached for live completions.
        type: str
        choices: [auto, dns, proxy, port_forward]
        default: auto
      router_namespace:
        description: Namespace of its routers. By default that of the model there.
        type: str
      prometheus:
        description: The Prometheus that watches it, where it is another one than O(prometheus).
        type: dict
        suboptions: &prometheus
          url:
            description:
              - Base URL, such as V(https://prometheus.example.com) or
                V(https://mimir.example.com/prometheus).
            type: str
          token:
            description: Bearer token.
            type: str
          username:
            description: Name for basic authentication.
            type: str
          password:
            description: Password for basic authentication.
            type: str
          tenant:
            description: Tenant, sent as C(X-Scope-OrgID).
            type: str
          labels:
            description:
              - Labels that series must have, such as C(cluster). Say it where one Prometheus (Thanos, Mimir)
                knows several clusters, which may have the same namespaces and models.
            type: dict
          ca_cert:
            description: File with the authorities of the server's certificate.
            type: path
          validate_certs:
            description: Whether the server's certificate is checked.
            type: bool
            default: true
          timeout:
            description: Seconds for one question.
            type: float
            default: 5
  tier:
    description:
      - What the target is like, which chooses the chart's defaults, the gates and the watch.
      - By default the environment itself, where it has one of these names; others have to say.
    type: str
    choices: [development, staging, production]
  create_namespace:
    description: Create the namespace where it is missing.
    type: bool
    default: false
  chart_path:
    description:
      - Folder of the chart C(vllm-deployment). It has to be the one that the source runs, by its digest.
    type: path
    required: true
  chart_values:
    description:
      - Values of the chart of which those count that an environment owns, such as C(replicas), C(scheduling)
        and C(persistence). All others are carried from the source. What is said otherwise here is returned as
        C(contradictions).
    aliases: [release_values]
    type: dict
    default: {}
  environment_keys:
    description:
      - Further keys of the chart's values that this environment owns, such as V(image.repository) for a
        mirror.
      - What says which model it is, or what its server is started with, is never an environment's own.
    type: list
    elements: str
    default: []
  force_conflicts:
    description: Take fields over that somebody else manages, such as after C(kubectl edit).
    type: bool
    default: false
  gates:
    description:
      - What has to hold before anything is written. That the manifest was verified and not revoked, and that
        nobody is at work on either side, is always asked. Whether there is room, with the surge of the
        strategy, is asked with O(check_capacity).
      - What is not known is V(inconclusive) and lets nothing pass.
    type: dict
    default: {}
    suboptions:
      soak_s:
        description:
          - Seconds that the manifest has to have been ready in the source, as its health checker saw it. V(0)
            does not ask.
          - By default V(900) where the tier is production, else V(0).
        type: float
      completions:
        description:
          - So many completions are asked of the source, and all have to be answered. V(0) does not ask.
        type: int
        default: 10
      max_latency_s:
        description: Seconds that 95 of 100 completions and requests have to stay within.
        type: float
        default: 3
      metrics:
        description:
          - Who is asked what clients of the source got, and of the target during the watch. V(prometheus) has
            O(prometheus), V(router) reads the routers' own metrics twice, V(none) does not ask.
          - V(auto) is Prometheus where its URL is given, and else the routers. It is the default where the
            tier is production, else V(none).
        type: str
        choices: [auto, prometheus, router, none]
      error_ratio:
        description: Share of the answers that may have failed.
        type: float
        default: 0.01
      queue_waiting:
        description: So many requests may wait in a model server, in the mean.
        type: float
        default: 10
      min_samples:
        description: With fewer requests than these nothing is known of errors and latency.
        type: int
        default: 50
      window_s:
        description:
          - Seconds that are looked at. By default V(300) of what Prometheus remembers, and V(30) that are
            waited for at routers, which remember nothing.
        type: float
      approval:
        description:
          - Whether somebody else than who asked has to have approved it, see
            M(llmops.platform.registry_approval). By default where the tier is production.
        type: bool
      approval_by_other_login:
        description:
          - Whether request and approval also have to come from two users of the database. Names are what a
            run says of itself, and a database's user is proven. Use it where approvers have logins of their
            own.
        type: bool
        default: false
      freeze:
        description:
          - Windows of time in which nothing is promoted. Each has a C(name), a C(timezone) of IANA, and
            either C(days) with C(from) and C(to) as times of day, or C(from) and C(to) as dates.
        type: list
        elements: dict
        default: []
  prometheus:
    description: The Prometheus that is asked.
    type: dict
    suboptions: *prometheus
  router_namespace:
    description: Namespace of the target's routers. By default that of the model.
    type: str
requirements:
  - PyYAML
"""
