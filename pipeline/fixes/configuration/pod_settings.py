"""What a pod as a whole may do on its node and with its service account."""

from collections.abc import Iterator

from secdaemon.pipeline.fixes.configuration.model import Repair, Weakness
from secdaemon.pipeline.fixes.configuration.pod_edits import set_in_pod
from secdaemon.pipeline.fixes.configuration.pods import SECURITY, Manifests, Pod, read_pods
from secdaemon.pipeline.fixes.configuration.yaml_document import Node
from secdaemon.pipeline.fixes.configuration.yaml_edit import Value, put
from secdaemon.pipeline.fixes.quote import inline

HOST_IPC = "host-ipc"
HOST_NETWORK = "host-network"
HOST_PID = "host-pid"
POD_CONTEXT = "no-pod-security-context"
SOCKET = "docker-socket"
TOKEN = "service-account-token"  # noqa: S105 - the name of a check

UID = 10_001
"""Above the users of common hosts, as Checkov's CKV_K8S_40 asks for."""
REFUSED = "The kubelet then refuses to start the container as root"
ROOT_REASON = (
    f"{REFUSED}; its image has to name a user by number (`USER 10001`), or the manifest a"
    " `runAsUser`."
)
_SECCOMP: dict[str, Value] = {"seccompProfile": {"type": "RuntimeDefault"}}

_LISTEN = "listen on the node's interfaces and reach services bound to its localhost"
_HOST = {
    HOST_IPC: ("hostIPC", "read shared memory of the node's processes; now only the pod's own"),
    HOST_NETWORK: (
        "hostNetwork",
        f"{_LISTEN}; now the pod has an address of its own, reached by a Service",
    ),
    HOST_PID: (
        "hostPID",
        "see and signal every process of the node; now only the pod's own",
    ),
}
_BINDINGS = ("ClusterRoleBinding", "RoleBinding")


def find_in_pod(pod: Pod) -> Iterator[Weakness]:
    """Yield what is insecure in a pod besides its containers."""
    for check, (key, _) in _HOST.items():
        node = pod.node.lookup(key)
        if node is not None and node.is_true:
            yield _weakness(check, f"{pod.name}.{key}", node, 0.8)
    mounted = pod.node.lookup("automountServiceAccountToken")
    if mounted is None or not mounted.is_false:
        yield _weakness(TOKEN, f"{pod.name}.automountServiceAccountToken", pod.document, 0.2)
    security = pod.node.lookup(SECURITY)
    if security is None or not security.pairs:
        yield _weakness(POD_CONTEXT, f"{pod.name}.{SECURITY}", pod.document, 0.1)
    volumes = pod.node.get("volumes")
    for at, volume in enumerate(volumes.items if volumes is not None else ()):
        path = volume.get("hostPath", "path")
        if path is not None and path.value.rstrip("/").endswith("docker.sock"):
            yield _weakness(SOCKET, f"{pod.name}.volumes.{at}", path, 0.9)


def mend_pod(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    """Return the ways to mend what `find_in_pod` found."""
    manifests = read_pods(text)
    name = weakness.where.rpartition(".")[0]
    pod = next((pod for pod in manifests.pods if pod.name == name), None) if manifests else None
    if manifests is None or pod is None:
        return ()
    if weakness.check == TOKEN:
        return _without_token(text, manifests, pod)
    return (
        _with_context(text, pod) if weakness.check == POD_CONTEXT else _apart(text, pod, weakness)
    )


def _without_token(text: str, manifests: Manifests, pod: Pod) -> tuple[Repair, ...]:
    """Mount no token where no account is chosen; who chooses one means to ask the API."""
    account = pod.node.lookup("serviceAccountName") or pod.node.lookup("serviceAccount")
    if account is not None and account.value not in {"", "default"}:
        return ()
    if pod.node.lookup("automountServiceAccountToken") is not None or _is_trusted(manifests):
        return ()
    place = (*pod.place, "automountServiceAccountToken")
    reason = (
        "The pod chooses no service account, so that it has the namespace's default one, which"
        " programs that ask the Kubernetes API do not use; without its token, code that gets into a"
        " container cannot speak to the API."
    )
    return _repairs(put(text, place, value=False, before=("containers",)), reason)


def _is_trusted(manifests: Manifests) -> bool:
    """Whether the text gives rights to an account by the name of `default`."""
    roots = manifests.document.roots
    bindings = [r for r in roots if (kind := r.get("kind")) and kind.value in _BINDINGS]
    subjects = (r.get("subjects") for r in bindings)
    names = (item.get("name") for node in subjects if node is not None for item in node.items)
    return any(name is not None and name.value == "default" for name in names)


def _apart(text: str, pod: Pod, weakness: Weakness) -> tuple[Repair, ...]:
    """Leave the node's namespace; a daemon set is there to see the node, and is left alone."""
    known = _HOST.get(weakness.check)
    if known is None or pod.kind == "DaemonSet":
        return ()
    key, could = known
    after = put(text, (*pod.place, key), value=False)
    return _repairs(after, f"With {inline(key)} the containers could {could}.")


def _with_context(text: str, pod: Pod) -> tuple[Repair, ...]:
    """Return the pod with what the `restricted` profile asks of a pod, as far as it can run so."""
    if pod.node.entry(SECURITY) is not None:
        return ()
    if any(container.is_root_needed or container.low_ports for container in pod.containers):
        reason = (
            "The containers get the runtime's default system calls, without those that escapes from"
            " containers have used; they still start as root, which their images or ports need."
        )
        return _repairs(_limited(text, pod, _SECCOMP), reason)
    is_root = any(container.is_root_by_default for container in pod.containers)
    user: dict[str, Value] = {"runAsUser": UID} if is_root else {}
    reason = (
        f"{REFUSED}, and runs its processes as user {UID} instead" if is_root else ROOT_REASON[:-1]
    )
    more = ". The runtime's default profile takes away system calls that escapes have used."
    limits = {"runAsNonRoot": True, **user, **_SECCOMP}
    return _repairs(_limited(text, pod, limits), reason + more)


def _limited(text: str, pod: Pod, limits: dict[str, Value]) -> str | None:
    return set_in_pod(text, pod, (), value=limits)


def _weakness(check: str, where: str, node: Node, weight: float) -> Weakness:
    return Weakness(check=check, where=where, line=node.line, end_line=node.end_line, weight=weight)


def _repairs(after: str | None, reason: str) -> tuple[Repair, ...]:
    return () if after is None else (Repair(after=after, reason=reason),)
