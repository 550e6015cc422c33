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
SHARED = "volumeMounts: [{name: v, mountPath: /v, mountPropagation: Bidirectional}]"
BINDING = """apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: b}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}
subjects: [{kind: ServiceAccount, name: default}]
"""


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
            "host-network",
        ),
        (pod(OWN, "serviceAccountName: robot\n"), "service-account-token"),
        (pod(OWN, "automountServiceAccountToken: true\n"), "service-account-token"),
        (f"{pod(OWN)}---\n{BINDING}", "service-account-token"),
        (pod("image: docker:27-dind\nsecurityContext: {privileged: true}"), "privileged"),
        (pod(f"{OWN}\nsecurityContext: {{privileged: true}}\n{SHARED}"), "privileged"),
        (pod(f"{OWN}\nsecurityContext: {{privileged: true}}"), "capabilities"),
        (pod(f"{OWN}\nsecurityContext: {{privileged: true}}"), "seccomp"),
        (pod(f"{OWN}\nports: [{{containerPort: 443}}]"), "root-container"),
        (pod(f"{OWN}\nports: [{{containerPort: 443}}]"), "low-uid"),
        (pod(f"{OWN}\nports: [{{containerPort: 443}}]"), "no-security-context"),
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
    assert list(found) == ["for the container", "for the pod"]
    assert "runAsNonRoot: true\n        runAsUser: 10001\n" in found["for the container"]
    assert "runAsNonRoot: true\n    runAsUser: 10001\n  containers" in found["for the pod"]
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


def test_only_the_namespace_that_is_named_is_left() -> None:
    """Each of the three is a finding of its own."""
    text = pod(OWN, "hostNetwork: true\nhostPID: true\nhostIPC: true\n")
    for check, key in (("host-network", "Network"), ("host-pid", "PID"), ("host-ipc", "IPC")):
        (after,) = ways(text, check).values()
        assert after == text.replace(f"host{key}: true", f"host{key}: false")


def test_a_patch_is_no_pod() -> None:
    """What a part of a manifest lacks stands in another file."""
    assert not KIND.recognises("patch.yaml", pod("env: [{name: LEVEL, value: debug}]"))


def test_the_line_of_spec_stands_for_all_containers() -> None:
    """Semgrep's rules name that one alone."""
    text = pod(OWN) + "    - name: d\n      image: registry.example.org/d:1\n"
    found = [w for w in KIND.weaknesses(text) if w.check == "root-container"]
    assert [(w.heading, w.line) for w in found] == [(5, 7), (5, 9)]


@pytest.mark.parametrize(
    ("container", "limits"),
    [
        (OWN, "runAsNonRoot: true\n    seccompProfile:\n      type: RuntimeDefault\n"),
        ("image: alpine:3.20", "runAsNonRoot: true\n    runAsUser: 10001\n    seccompProfile:\n"),
        ("image: nginx:1", "seccompProfile:\n      type: RuntimeDefault\n"),
    ],
)
def test_a_pod_gets_the_limits_that_it_can_run_with(container: str, limits: str) -> None:
    """Those of the `restricted` profile; what starts as root keeps its user."""
    (after,) = ways(pod(container), "no-pod-security-context").values()
    assert f"spec:\n  securityContext:\n    {limits}" in after


def test_where_a_scanner_looks_for_the_profile() -> None:
    """One that the pod switches off is switched on there."""
    off = pod(OWN, "securityContext: {seccompProfile: {type: Unconfined}}\n")
    assert list(ways(off, "seccomp")) == [""]
