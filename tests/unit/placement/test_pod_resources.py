# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Effective requests: init containers, sidecars, overhead, defaults, pod-level and resized resources."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.llmops.platform.plugins.module_utils._core.placement.pod_resources import (
    pod_limits,
    pod_requests,
)


def use(cpu: int, **more: Any) -> dict[str, Any]:
    """Return a container that asks for whole cores."""
    return {"name": f"c{cpu}", "resources": {"requests": {"cpu": str(cpu)}}, **more}


def sidecar(cpu: int) -> dict[str, Any]:
    """Return an init container that keeps running."""
    return use(cpu, restartPolicy="Always")


def cores(**spec: Any) -> float:
    return pod_requests(spec).get("cpu", 0) / 1000


def test_containers_add_up() -> None:
    assert cores(containers=[use(1), use(2)]) == 3


def test_init_container_larger_than_main() -> None:
    assert cores(containers=[use(1)], initContainers=[use(5), use(4)]) == 5


def test_init_container_smaller_than_main() -> None:
    assert cores(containers=[use(3)], initContainers=[use(2)]) == 3


def test_sidecar_runs_beside_the_containers() -> None:
    assert cores(containers=[use(3)], initContainers=[sidecar(2)]) == 5


def test_only_sidecars_started_before_count_for_an_init_container() -> None:
    assert cores(containers=[use(1)], initContainers=[sidecar(2), use(4)]) == 6
    assert cores(containers=[use(1)], initContainers=[use(4), sidecar(2)]) == 4


def test_overhead_comes_on_top() -> None:
    assert cores(containers=[use(1)], initContainers=[use(3)], overhead={"cpu": "500m"}) == 3.5


def test_limit_alone_is_a_request() -> None:
    limited = {
        "name": "c",
        "resources": {"limits": {"nvidia.com/gpu": "2", "cpu": 1}, "requests": {"cpu": "250m"}},
    }
    assert pod_requests({"containers": [limited]}) == {"cpu": 250, "nvidia.com/gpu": 2}


def test_pod_level_requests_replace_the_sum() -> None:
    assert cores(containers=[use(1), use(1)], resources={"requests": {"cpu": "5"}}) == 5
    assert cores(containers=[use(1)], resources={"limits": {"cpu": "5"}}) == 1
    assert cores(containers=[{"name": "c"}], resources={"limits": {"cpu": "5"}}) == 5


def test_container_shrunk_in_place_counts_with_what_it_still_holds() -> None:
    status = {"containerStatuses": [{"name": "c2", "resources": {"requests": {"cpu": "6"}}}]}
    assert pod_requests({"containers": [use(2)]}, status) == {"cpu": 6000}


def test_thousandths_of_bytes_round_up_once_a_pod() -> None:
    half = {"name": "c", "resources": {"requests": {"memory": "400m"}}}
    assert pod_requests({"containers": [half, half]}) == {"memory": 1}


def test_limits_need_a_limit() -> None:
    assert pod_limits({"containers": [use(2)], "overhead": {"cpu": "1"}}) == {}
    limited = {"name": "c", "resources": {"limits": {"memory": "1Gi"}}}
    overhead = {"memory": "1Gi"}
    assert pod_limits({"containers": [limited], "overhead": overhead}) == {"memory": 2 * 2**30}


kinds = st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=5)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=4), kinds)
def test_equals_the_highest_moment_of_the_pod_s_life(
    main: list[int], starting: list[tuple[bool, int]]
) -> None:
    """Play the life of a pod moment by moment and compare the peak."""
    running, peak = 0, 0
    for stays, cpu in starting:
        peak = max(peak, running + cpu)
        running += cpu if stays else 0
    peak = max(peak, running + sum(main))
    spec = {
        "containers": [use(cpu) for cpu in main],
        "initContainers": [sidecar(cpu) if stays else use(cpu) for stays, cpu in starting],
    }
    assert cores(**spec) == peak


def _resized(reason: str, now: str, wanted: str) -> float:
    """Return the cores of a pod that is to be resized in place, as its node answered."""
    spec = {"containers": [{"name": "c", "resources": {"requests": {"cpu": wanted}}}]}
    held = {"name": "c", "resources": {"requests": {"cpu": now}}, "allocatedResources": {"cpu": now}}
    conditions = [{"type": "PodResizePending", "status": "True", "reason": reason}]
    return pod_requests(spec, {"containerStatuses": [held], "conditions": conditions}).get("cpu", 0) / 1000


def test_a_resize_that_the_node_refused_counts_for_nothing() -> None:
    """As kube-scheduler has it: what may still come is reserved, what cannot is not."""
    assert _resized("Deferred", "2", "6") == 6
    assert _resized("Infeasible", "2", "64") == 2
    assert _resized("Infeasible", "4", "1") == 4


def test_a_resize_counts_the_largest_sum_and_not_the_sum_of_the_largest() -> None:
    """As kube-scheduler 1.37 has it: wanted, granted and held are added up each for itself."""
    spec = {"containers": [use(1), use(4)]}
    statuses = [
        {"name": "c1", "allocatedResources": {"cpu": "3"}, "resources": {"requests": {"cpu": "3"}}},
        {"name": "c4", "allocatedResources": {"cpu": "1"}, "resources": {"requests": {"cpu": "1"}}},
    ]
    assert pod_requests(spec, {"containerStatuses": statuses})["cpu"] == 5000


def test_what_the_node_granted_counts_before_it_is_held() -> None:
    granted = {"containerStatuses": [{"name": "c1", "allocatedResources": {"cpu": "3"}}]}
    assert pod_requests({"containers": [use(1)]}, granted)["cpu"] == 3000


def test_a_node_that_tells_it_of_the_whole_pod_is_believed() -> None:
    container = {"name": "c2", "allocatedResources": {"cpu": "9"}, "resources": {"requests": {"cpu": "9"}}}
    status = {
        "containerStatuses": [container],
        "allocatedResources": {"cpu": "3"},
        "resources": {"requests": {"cpu": "4"}},
    }
    assert pod_requests({"containers": [use(2)]}, status)["cpu"] == 4000
    pod_level = {"containers": [use(2)], "resources": {"requests": {"cpu": "5"}}}
    assert pod_requests(pod_level, status)["cpu"] == 5000
    refused = {**status, "conditions": [{"type": "PodResizePending", "reason": "Infeasible"}]}
    assert pod_requests(pod_level, refused)["cpu"] == 4000
