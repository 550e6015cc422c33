"""What the containers of a pod may do, and what is left alone since it may be needed."""

import textwrap

import pytest

from secdaemon.pipeline.fixes.configuration.kubernetes import KIND


def pod(container: str, spec: str = "", kind: str = "Pod") -> str:
    """Return a pod with one container besides its name."""
    return (
        f"apiVersion: v1\nkind: {kind}\nmetadata:\n  name: p\nspec:\n{textwrap.indent(spec, '  ')}"
        f"  containers:\n    - name: c\n{textwrap.indent(container, '      ')}\n"
    )


OWN = "image: registry.example.org/a:1"


def ways(text: str, check: str) -> dict[str, str]:
    """Return the ways to mend a check's first weakness by their choices."""
    weakness = next((w for w in KIND.weaknesses(text) if w.check == check), None)
    if weakness is None:
        return {}
    return {way.choice: way.after for way in KIND.mends[check](text, weakness)}


@pytest.mark.parametrize(
    ("text", "check"),
    [
        (
            pod(OWN, "hostNetwork: true\n", "DaemonSet").replace(
                "spec:\n", "spec:\n  template:\n    spec:\n", 1
            ),
            "host-namespace",
        ),
        (pod(OWN, "serviceAccountName: robot\n"), "service-account-token"),
        (pod("image: nginx:1"), "writable-root"),
        (pod("image: redis:7"), "root-container"),
        (pod("image: postgres:16"), "capabilities"),
        (pod("image: busybox:1\ncommand: [sh, -c, 'chown -R 1:1 /data']"), "capabilities"),
        (pod("image: busybox:1\ncommand: [sh, -c, 'chown -R 1:1 /data']"), "root-container"),
        (pod(f"{OWN}\nsecurityContext: {{privileged: true}}"), "privilege-escalation"),
        (pod(f"{OWN}\nsecurityContext: {{runAsUser: 0}}"), "root-container"),
        (pod(f"{OWN}\nsecurityContext: {{runAsUser: 1000}}"), "low-uid"),
    ],
)
def test_what_may_be_needed_is_left_alone(text: str, check: str) -> None:
    """An agent of the node, an account that is chosen, a start-up as root: there is no fix."""
    assert ways(text, check) == {}


def test_a_known_root_image_gets_a_number() -> None:
    """`runAsNonRoot` alone would keep a public image that is root from starting."""
    found = ways(pod("image: alpine:3.20"), "root-container")
    assert list(found) == ["for the container"]
    assert "runAsNonRoot: true\n        runAsUser: 10001\n" in found["for the container"]
    assert list(ways(pod(OWN), "root-container")) == ["for the container", "for the pod"]


def test_settings_of_the_pod_count_for_its_containers() -> None:
    """What the pod says holds where the container says nothing else."""
    spec = "securityContext:\n  runAsNonRoot: true\n  seccompProfile: {type: RuntimeDefault}\n"
    checks = {weakness.check for weakness in KIND.weaknesses(pod(OWN, spec))}
    assert not checks & {"root-container", "seccomp"}
    assert {"privilege-escalation", "capabilities"} <= checks


def test_a_privileged_port_keeps_its_capability() -> None:
    """A container that listens below 1024 may go on to."""
    (after,) = ways(pod(f"{OWN}\nports: [{{containerPort: 443}}]"), "capabilities").values()
    assert "drop:\n            - ALL\n          add:\n            - NET_BIND_SERVICE\n" in after


def test_drop_lists_are_extended() -> None:
    """What is dropped already stays, and a list on one line stays on one."""
    text = pod(f"{OWN}\nsecurityContext:\n  capabilities:\n    drop: [NET_RAW]")
    (after,) = ways(text, "capabilities").values()
    assert after == text.replace("[NET_RAW]", "[NET_RAW, ALL]")


@pytest.mark.parametrize(
    "text",
    [
        pod(OWN).replace("name: p", "name: {{ .Release.Name }}"),
        pod(OWN).replace("name: p", 'name: "{{ .Release.Name }}"'),
        pod(OWN) + "    - name: c\n      image: b\n",
        "kind: Pod\nspec: {containers: [{name: a}]}\n",
        "apiVersion: v1\nkind: ConfigMap\n",
        "apiVersion: v1\nkind: Pod\nspec: [a]\n",
    ],
)
def test_what_is_no_manifest(text: str) -> None:
    """Helm's templates, invalid pods and other resources are not read."""
    assert not KIND.recognises("a.yaml", text)
    assert KIND.weaknesses(text) == ()


def test_shared_nodes_are_left_alone() -> None:
    """What an alias stands for is not changed at one of its places."""
    text = pod(f"{OWN}\nsecurityContext: &s\n  privileged: true") + (
        "    - name: d\n      image: b\n      securityContext: *s\n"
    )
    assert len([w for w in KIND.weaknesses(text) if w.check == "privileged"]) == 2
    assert ways(text, "privileged") == {}
