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
from secdaemon.pipeline.fixes.configuration.pods import SECURITY, Container, Pod, read_pods
from secdaemon.pipeline.fixes.configuration.yaml_document import Node
from secdaemon.pipeline.fixes.configuration.yaml_edit import Value, append, put
from secdaemon.pipeline.fixes.quote import inline

PRIVILEGED = "privileged"
ESCALATION = "privilege-escalation"
CAPABILITIES = "capabilities"
READ_ONLY = "writable-root"
NON_ROOT = "root-container"
HIGH_UID = "low-uid"
SECCOMP = "seccomp"
HOST = "host-namespace"
TOKEN = "service-account-token"  # noqa: S105 - the name of a check
CONTEXT = "no-security-context"
SOCKET = "docker-socket"

_UID = 10_001
_NEEDLESS = ("hostNetwork", "hostPID", "hostIPC")
_PRIVILEGED_PORT = 1024
_RESTRICTED: dict[str, Value] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_REFUSED = "The kubelet then refuses to start the container as root"
_ROOT_REASON = (
    f"{_REFUSED}; its image has to name a user by number (`USER 10001`), or the manifest a"
    " `runAsUser`."
)


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
    for key in _NEEDLESS:
        node = pod.node.lookup(key)
        if node is not None and node.is_true:
            yield _weakness(HOST, f"{pod.name}.{key}", node, 0.8)
    mounted = pod.node.lookup("automountServiceAccountToken")
    if mounted is None or not mounted.is_false:
        yield _weakness(TOKEN, f"{pod.name}.automountServiceAccountToken", pod.document, 0.2)
    volumes = pod.node.get("volumes")
    for at, volume in enumerate(volumes.items if volumes is not None else ()):
        path = volume.get("hostPath", "path")
        if path is not None and path.value.rstrip("/").endswith("docker.sock"):
            yield _weakness(SOCKET, f"{pod.name}.volumes.{at}", path, 0.9)
    for container in pod.containers:
        for rule in _RULES:
            if rule.is_weak(pod, container):
                where = f"{pod.name}.{container.name}"
                yield _weakness(rule.check, where, container.node, rule.weight)


def _weakness(check: str, where: str, node: Node, weight: float) -> Weakness:
    return Weakness(check=check, where=where, line=node.line, end_line=node.end_line, weight=weight)


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


def _mend_pod(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    manifests = read_pods(text)
    for pod in manifests.pods if manifests is not None else ():
        name, _, key = weakness.where.rpartition(".")
        if pod.name == name:
            return _mend_token(text, pod) if weakness.check == TOKEN else _mend_host(text, pod, key)
    return ()


def _mend_token(text: str, pod: Pod) -> tuple[Repair, ...]:
    """Mount no token where no account is chosen; who chooses one means to ask the API."""
    account = pod.node.lookup("serviceAccountName") or pod.node.lookup("serviceAccount")
    if account is not None and account.value not in {"", "default"}:
        return ()
    place = (*pod.place, "automountServiceAccountToken")
    reason = (
        "The pod uses the default service account and so has no need of the Kubernetes API; without"
        " its token, code that runs in a container cannot speak to the API in the account's name."
    )
    return _repairs(put(text, place, value=False, before=("containers",)), reason)


def _mend_host(text: str, pod: Pod, key: str) -> tuple[Repair, ...]:
    """Leave the node's namespace; a daemon set is there to see the node, and is left alone."""
    if pod.kind == "DaemonSet":
        return ()
    seen = {
        "hostNetwork": "listen on the node's interfaces and reach services bound to its localhost",
        "hostPID": "see and signal every process of the node",
        "hostIPC": "read shared memory of the node's processes",
    }.get(key)
    after = put(text, (*pod.place, key), value=False)
    return _repairs(
        after, f"With {inline(key)} the containers could {seen}; now only the pod's own."
    )


def _is_privileged(pod: Pod, container: Container) -> bool:
    node = container.setting("privileged")
    return node is not None and node.is_true


def _mend_privileged(text: str, pod: Pod, container: Container) -> tuple[Repair, ...]:
    reason = (
        "A privileged container has the node's devices and all capabilities, which is root on the"
        " node; a single capability that it needs can be added by name."
    )
    return _repairs(set_in_container(text, container, ("privileged",), value=False), reason)


def _may_escalate(pod: Pod, container: Container) -> bool:
    node = container.setting("allowPrivilegeEscalation")
    return node is None or not node.is_false


def _mend_escalation(text: str, pod: Pod, container: Container) -> tuple[Repair, ...]:
    if _is_privileged(pod, container) or "SYS_ADMIN" in _listed(container, "add"):
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
    if not _can_be_limited(pod, container):
        return ()
    place = (*container.place, SECURITY, "capabilities")
    dropped = container.node.get(SECURITY, "capabilities", "drop")
    if dropped is not None and dropped.items:
        after = append(text, (*place, "drop"), "ALL")
    else:
        after = set_in_container(text, container, ("capabilities", "drop"), value=["ALL"])
    more = ""
    ports = container.node.get("ports")
    low = [
        port.value
        for item in (ports.items if ports is not None else ())
        if (port := item.get("containerPort")) is not None
        and port.value.isdecimal()
        and int(port.value) < _PRIVILEGED_PORT
    ]
    if low and not container.setting("capabilities", "add"):
        after = after and put(after, (*place, "add"), ["NET_BIND_SERVICE"])
        more = f" `NET_BIND_SERVICE` stays, for port {inline(low[0])}."
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


def _may_be_root(pod: Pod, container: Container) -> bool:
    said = container.setting("runAsNonRoot") or pod.setting("runAsNonRoot")
    uid = container.setting("runAsUser") or pod.setting("runAsUser")
    is_other = uid is not None and uid.value.isdecimal() and int(uid.value) > 0
    return not is_other and (said is None or not said.is_true)


def _mend_root(text: str, pod: Pod, container: Container) -> tuple[Repair, ...]:
    uid = container.setting("runAsUser") or pod.setting("runAsUser")
    if container.is_root_needed or uid is not None:
        return ()
    own = set_in_container(text, container, ("runAsNonRoot",), value=True)
    if _is_root_by_default(container):
        own = own and set_in_container(own, container, ("runAsUser",), value=_UID)
        return _repairs(
            own, f"{_REFUSED}, and runs it as user {_UID} instead.", "for the container"
        )
    found = [*_repairs(own, _ROOT_REASON, "for the container")]
    others = any(o.is_root_needed or _is_root_by_default(o) for o in pod.containers)
    if not others and container.setting("runAsNonRoot") is None:
        whole = set_in_pod(text, pod, ("runAsNonRoot",), value=True)
        found += _repairs(whole, _ROOT_REASON, "for the pod")
    return tuple(found)


def _is_root_by_default(container: Container) -> bool:
    """Whether the image is a public one that names no other user."""
    return container.base.family != "unknown" and not container.base.is_unprivileged


def _has_low_uid(pod: Pod, container: Container) -> bool:
    uid = container.setting("runAsUser") or pod.setting("runAsUser")
    return uid is None or not uid.value.isdecimal() or int(uid.value) < _UID - 1


def _mend_uid(text: str, pod: Pod, container: Container) -> tuple[Repair, ...]:
    """Give a number where none is given; one that is has its owner's files."""
    if container.is_root_needed or container.setting("runAsUser") or pod.setting("runAsUser"):
        return ()
    after = set_in_container(text, container, ("runAsUser",), value=_UID)
    reason = (
        f"The processes run as user {_UID}, which is neither root nor a user of the node, so that"
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
    if container.setting("seccompProfile") is not None or _is_privileged(pod, container):
        return _repairs(set_in_container(text, container, keys, value=value), reason)
    whole = _repairs(set_in_pod(text, pod, keys, value=value), reason, "for the pod")
    own = _repairs(
        set_in_container(text, container, keys, value=value), reason, "for the container"
    )
    return (*whole, *own)


def _has_no_context(pod: Pod, container: Container) -> bool:
    return container.node.lookup(SECURITY) is None


def _mend_context(text: str, pod: Pod, container: Container) -> tuple[Repair, ...]:
    if container.is_root_needed:
        return ()
    is_root = _is_root_by_default(container) and pod.setting("runAsUser") is None
    user: dict[str, Value] = {"runAsUser": _UID} if is_root else {}
    limits = {**_RESTRICTED, **user}
    after = put(text, (*container.place, SECURITY), limits, after=("image", "name"))
    reason = (
        "The container gets the limits of Kubernetes' `restricted` profile: no further privileges,"
        f" no capabilities, the default system calls, no root. {'' if is_root else _ROOT_REASON}"
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
        r"CKV_K8S_(?:17|18|19)\b|KSV-?0*(?:8|9|10)\b|host(?:network|pid|ipc)": HOST,
        r"Shared Host|hostnetwork-pod|hostpid-pod|hostipc-pod": HOST,
        r"CKV_K8S_38\b|KSV-?0*36\b|automount|Service Account Token": TOKEN,
        r"CKV_K8S_(?:29|30)\b|KSV-?0*118\b|no-securitycontext|security context": CONTEXT,
        r"CKV_K8S_27\b|KSV-?0*6\b|docker-?sock|Docker Daemon Socket": SOCKET,
    },
    mends=guarded(
        weaknesses,
        {
            CAPABILITIES: _mend_container,
            CONTEXT: _mend_container,
            ESCALATION: _mend_container,
            HIGH_UID: _mend_container,
            HOST: _mend_pod,
            NON_ROOT: _mend_container,
            PRIVILEGED: _mend_container,
            READ_ONLY: _mend_container,
            SECCOMP: _mend_container,
            TOKEN: _mend_pod,
        },
    ),
)
