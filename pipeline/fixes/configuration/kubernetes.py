"""Kubernetes manifests: what the containers of a pod may do on their node.

The checks are those of the Pod Security Standards' `restricted` profile, and a read-only root file
system. Resource limits, probes and image digests are not among them: their values are not in the
file.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache

import msgspec

from secdaemon.pipeline.fixes.configuration.guarded import guarded
from secdaemon.pipeline.fixes.configuration.model import Kind, Repair, Weakness
from secdaemon.pipeline.fixes.configuration.pod_edits import (
    set_in_container,
    set_in_pod,
    with_scratch,
)
from secdaemon.pipeline.fixes.configuration.pod_settings import (
    HOST_IPC,
    HOST_NETWORK,
    HOST_PID,
    POD_CONTEXT,
    REFUSED,
    ROOT_REASON,
    SOCKET,
    TOKEN,
    UID,
    find_in_pod,
    mend_pod,
)
from secdaemon.pipeline.fixes.configuration.pods import SECURITY, Container, Pod, read_pods
from secdaemon.pipeline.fixes.configuration.yaml_edit import Value, append, put

PRIVILEGED = "privileged"
ESCALATION = "privilege-escalation"
CAPABILITIES = "capabilities"
READ_ONLY = "writable-root"
NON_ROOT = "root-container"
HIGH_UID = "low-uid"
SECCOMP = "seccomp"
CONTEXT = "no-security-context"

_RESTRICTED: dict[str, Value] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


class _Rule(msgspec.Struct, frozen=True):
    """A check of a container: whether it is weak, what ends that, and why it does."""

    check: str
    weight: float
    is_weak: Callable[[Pod, Container], bool]
    mend: Callable[[str, Pod, Container], tuple[Repair, ...]]


def recognises(path: str, text: str) -> bool:
    """Whether a YAML text has a pod; Helm's templates are none."""
    return path.lower().endswith((".yaml", ".yml")) and read_pods(text) is not None


@lru_cache(maxsize=8)
def weaknesses(text: str) -> tuple[Weakness, ...]:
    """Return what is insecure in the pods of a text, pod by pod."""
    manifests = read_pods(text)
    if manifests is None:
        return ()
    return tuple(weakness for pod in manifests.pods for weakness in _of_pod(pod))


def _of_pod(pod: Pod) -> Iterator[Weakness]:
    yield from find_in_pod(pod)
    for container in pod.containers:
        for rule in _RULES:
            if rule.is_weak(pod, container):
                yield Weakness(
                    check=rule.check,
                    where=f"{pod.name}.{container.name}",
                    line=container.node.line,
                    end_line=container.node.end_line,
                    heading=pod.line,
                    weight=rule.weight,
                )


def _mend_container(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    manifests = read_pods(text)
    rule = next((rule for rule in _RULES if rule.check == weakness.check), None)
    if manifests is None or rule is None:
        return ()
    for pod in manifests.pods:
        for container in pod.containers:
            if f"{pod.name}.{container.name}" == weakness.where:
                return rule.mend(text, pod, container)
    return ()


def _is_privileged(pod: Pod, container: Container) -> bool:
    return container.is_privileged


def _mend_privileged(text: str, pod: Pod, container: Container) -> tuple[Repair, ...]:
    """Take the privileges of what neither starts containers nor mounts for the node."""
    if container.base.runs_containers or _mounts_for_node(container):
        return ()
    reason = (
        "A privileged container has the node's devices and all capabilities, which is root on the"
        " node; a single capability that it needs can be added by name."
    )
    return _repairs(set_in_container(text, container, ("privileged",), value=False), reason)


def _mounts_for_node(container: Container) -> bool:
    mounts = container.node.get("volumeMounts")
    said = (item.get("mountPropagation") for item in (mounts.items if mounts is not None else ()))
    return any(node is not None and node.value == "Bidirectional" for node in said)


def _may_escalate(pod: Pod, container: Container) -> bool:
    node = container.setting("allowPrivilegeEscalation")
    return node is None or not node.is_false


def _mend_escalation(text: str, pod: Pod, container: Container) -> tuple[Repair, ...]:
    if container.is_privileged or "SYS_ADMIN" in _listed(container, "add"):
        # The API server refuses the two together.
        return ()
    reason = (
        "A process in the container can then gain no more privileges than it was started with, not"
        " by a set-user-id program either."
    )
    return _repairs(
        set_in_container(text, container, ("allowPrivilegeEscalation",), value=False), reason
    )


def _has_capabilities(pod: Pod, container: Container) -> bool:
    return "ALL" not in {name.upper() for name in _listed(container, "drop")}


def _listed(container: Container, key: str) -> tuple[str, ...]:
    node = container.setting("capabilities", key)
    return tuple(item.value for item in node.items) if node is not None else ()


def _mend_capabilities(text: str, pod: Pod, container: Container) -> tuple[Repair, ...]:
    if container.is_privileged or not _can_be_limited(pod, container):
        # What is privileged has them all, whatever it drops.
        return ()
    place = (*container.place, SECURITY, "capabilities")
    dropped = container.node.get(SECURITY, "capabilities", "drop")
    if dropped is not None and dropped.items:
        after = append(text, (*place, "drop"), "ALL")
    else:
        after = set_in_container(text, container, ("capabilities", "drop"), value=["ALL"])
    more = ""
    if container.low_ports and not container.setting("capabilities", "add"):
        after = after and put(after, (*place, "add"), ["NET_BIND_SERVICE"])
        more = f" `NET_BIND_SERVICE` stays, for port {container.low_ports[0]}."
    reason = (
        "The container keeps none of the runtime's default capabilities, such as raw sockets and"
        f" changing owners of files; what it really needs is added by name.{more}"
    )
    return _repairs(after, reason)


def _can_be_limited(pod: Pod, container: Container) -> bool:
    """Whether nothing says that the container starts as root and steps down by itself."""
    return not container.is_root_needed or not _may_be_root(pod, container)


def _is_writable(pod: Pod, container: Container) -> bool:
    node = container.setting("readOnlyRootFilesystem")
    return node is None or not node.is_true


def _mend_writable(text: str, pod: Pod, container: Container) -> tuple[Repair, ...]:
    """Make the image's files read-only, with and without a scratch directory at /tmp."""
    if container.is_root_needed:
        return ()
    why = (
        "Code that gets into the container can then not change the program or leave one of its own"
        " in the image's files"
    )
    plain = set_in_container(text, container, ("readOnlyRootFilesystem",), value=True)
    found = [
        *_repairs(plain, f"{why}; what the program writes has to go to a volume.", "read-only")
    ]
    with_tmp = plain and with_scratch(plain, pod, container)
    if with_tmp:
        reason = f"{why}; `/tmp`, which most programs write to, is an empty directory of the pod."
        found += _repairs(with_tmp, reason, "read-only with a writable /tmp")
    return tuple(found)


def _has_to_be_root(container: Container) -> bool:
    """Whether its image, its command or a port asks for root; no capability opens a port to others.

    Those that are added to a container reach a process of another user by its file alone.
    """
    return container.is_root_needed or bool(container.low_ports)


def _may_be_root(pod: Pod, container: Container) -> bool:
    said = container.setting("runAsNonRoot") or pod.setting("runAsNonRoot")
    uid = container.setting("runAsUser") or pod.setting("runAsUser")
    is_other = uid is not None and uid.value.isdecimal() and int(uid.value) > 0
    return not is_other and (said is None or not said.is_true)


def _mend_root(text: str, pod: Pod, container: Container) -> tuple[Repair, ...]:
    uid = container.setting("runAsUser") or pod.setting("runAsUser")
    if _has_to_be_root(container) or uid is not None:
        return ()
    own = set_in_container(text, container, ("runAsNonRoot",), value=True)
    reason = ROOT_REASON
    if container.is_root_by_default:
        own = own and set_in_container(own, container, ("runAsUser",), value=UID)
        reason = f"{REFUSED}, and runs it as user {UID} instead."
    return (
        *_repairs(own, reason, "for the container"),
        *_repairs(_non_root_pod(text, pod, container), reason, "for the pod"),
    )


def _non_root_pod(text: str, pod: Pod, container: Container) -> str | None:
    """Return the text with a pod none of whose containers is root; None where they are unlike."""
    is_alike = len({each.is_root_by_default for each in pod.containers}) == 1
    if not is_alike or any(map(_has_to_be_root, pod.containers)):
        return None
    if container.setting("runAsNonRoot") is not None:
        return None
    after = set_in_pod(text, pod, ("runAsNonRoot",), value=True)
    if container.is_root_by_default:
        after = after and set_in_pod(after, pod, ("runAsUser",), value=UID)
    return after


def _has_low_uid(pod: Pod, container: Container) -> bool:
    uid = container.setting("runAsUser") or pod.setting("runAsUser")
    return uid is None or not uid.value.isdecimal() or int(uid.value) < UID - 1


def _mend_uid(text: str, pod: Pod, container: Container) -> tuple[Repair, ...]:
    """Give a number where none is given; one that is has its owner's files."""
    if _has_to_be_root(container) or container.setting("runAsUser") or pod.setting("runAsUser"):
        return ()
    after = set_in_container(text, container, ("runAsUser",), value=UID)
    reason = (
        f"The processes run as user {UID}, which is neither root nor a user of the node, so that"
        " files of the node are not theirs. What they write has to go where that user may."
    )
    return _repairs(after, reason)


def _is_unconfined(pod: Pod, container: Container) -> bool:
    kind = container.setting("seccompProfile", "type") or pod.setting("seccompProfile", "type")
    return kind is None or kind.value == "Unconfined"


def _mend_seccomp(text: str, pod: Pod, container: Container) -> tuple[Repair, ...]:
    reason = (
        "The runtime's default profile takes away the system calls that containers do not need and"
        " that escapes from them have used."
    )
    keys, value = ("seccompProfile", "type"), "RuntimeDefault"
    if container.is_privileged:
        # It is unconfined, whatever its profile.
        return ()
    if container.setting("seccompProfile") is not None:
        return _repairs(set_in_container(text, container, keys, value=value), reason)
    if pod.setting("seccompProfile") is not None or pod.kind == "CronJob":
        # Checkov looks for a cron job's in no other place.
        return _repairs(set_in_pod(text, pod, keys, value=value), reason)
    whole = _repairs(set_in_pod(text, pod, keys, value=value), reason, "for the pod")
    own = _repairs(
        set_in_container(text, container, keys, value=value), reason, "for the container"
    )
    return (*whole, *own)


def _has_no_context(pod: Pod, container: Container) -> bool:
    return container.node.lookup(SECURITY) is None


def _mend_context(text: str, pod: Pod, container: Container) -> tuple[Repair, ...]:
    if _has_to_be_root(container):
        return ()
    is_root = container.is_root_by_default and pod.setting("runAsUser") is None
    user: dict[str, Value] = {"runAsUser": UID} if is_root else {}
    limits = {**_RESTRICTED, **user}
    after = put(text, (*container.place, SECURITY), limits, after=("image", "name"))
    reason = (
        "The container gets the limits of Kubernetes' `restricted` profile: no further privileges,"
        f" no capabilities, the default system calls, no root. {'' if is_root else ROOT_REASON}"
    ).rstrip()
    return _repairs(after, reason)


def _repairs(after: str | None, reason: str, choice: str = "") -> tuple[Repair, ...]:
    return () if after is None else (Repair(after=after, reason=reason, choice=choice),)


_RULES = (
    _Rule(PRIVILEGED, 1.0, _is_privileged, _mend_privileged),
    _Rule(ESCALATION, 0.5, _may_escalate, _mend_escalation),
    _Rule(CAPABILITIES, 0.3, _has_capabilities, _mend_capabilities),
    _Rule(NON_ROOT, 0.6, _may_be_root, _mend_root),
    _Rule(HIGH_UID, 0.1, _has_low_uid, _mend_uid),
    _Rule(READ_ONLY, 0.2, _is_writable, _mend_writable),
    _Rule(SECCOMP, 0.2, _is_unconfined, _mend_seccomp),
    _Rule(CONTEXT, 0.1, _has_no_context, _mend_context),
)

KIND = Kind(
    name="Kubernetes manifest",
    language="yaml",
    recognises=recognises,
    weaknesses=weaknesses,
    rules={
        r"CKV_K8S_20\b|KSV-?0*1\b|privilege-?escalation|Privilege Escalation": ESCALATION,
        r"CKV_K8S_16\b|KSV-?0*17\b|privileged-container|Container Is Privileged": PRIVILEGED,
        r"CKV_K8S_(?:28|37)\b|KSV-?0*(?:3|4|106)\b|Drop(?:ped)? Capabilities": CAPABILITIES,
        r"NET_RAW Capabilities|No Drop Capabilities|capabilities-drop": CAPABILITIES,
        r"CKV_K8S_22\b|KSV-?0*14\b|writable-filesystem|Root Container Not Mounted": READ_ONLY,
        r"readOnlyRootFilesystem": READ_ONLY,
        r"CKV_K8S_(?:6|23)\b|KSV-?0*12\b|run-as-non-root|Running As Root": NON_ROOT,
        r"CKV_K8S_40\b|KSV-?0*20\b|Running With Low UID|runAsUser": HIGH_UID,
        r"CKV_K8S_31\b|KSV-?0*(?:30|104)\b|seccomp": SECCOMP,
        r"CKV_K8S_17\b|KSV-?0*10\b|host[ -]?pid|Shared Host PID": HOST_PID,
        r"CKV_K8S_18\b|KSV-?0*8\b|host[ -]?ipc|Shared Host IPC": HOST_IPC,
        r"CKV_K8S_19\b|KSV-?0*9\b|host[ -]?network|Shared Host Network": HOST_NETWORK,
        r"CKV_K8S_38\b|KSV-?0*36\b|automount|Service Account Token": TOKEN,
        r"CKV_K8S_29\b": POD_CONTEXT,
        r"CKV_K8S_30\b|KSV-?0*118\b|no-securitycontext|security context": CONTEXT,
        r"CKV_K8S_27\b|KSV-?0*6\b|docker-?sock|Docker Daemon Socket": SOCKET,
    },
    mends=guarded(
        weaknesses,
        {
            CAPABILITIES: _mend_container,
            CONTEXT: _mend_container,
            ESCALATION: _mend_container,
            HIGH_UID: _mend_container,
            HOST_IPC: mend_pod,
            HOST_NETWORK: mend_pod,
            HOST_PID: mend_pod,
            NON_ROOT: _mend_container,
            POD_CONTEXT: mend_pod,
            PRIVILEGED: _mend_container,
            READ_ONLY: _mend_container,
            SECCOMP: _mend_container,
            TOKEN: mend_pod,
        },
    ),
)
