"""Changes to the pods of Kubernetes manifests, at their places in the text."""

from secdaemon.pipeline.fixes.configuration.pods import SECURITY, Container, Pod
from secdaemon.pipeline.fixes.configuration.yaml_document import Node
from secdaemon.pipeline.fixes.configuration.yaml_edit import Place, Value, append, put


def with_scratch(text: str, pod: Pod, container: Container) -> str | None:
    """Give a container an empty directory at /tmp; None where that, or its name, is taken."""
    mounts, volumes = container.node.get("volumeMounts"), pod.node.get("volumes")
    paths = [item.get("mountPath") for item in (mounts.items if mounts is not None else ())]
    if any(path is not None and path.value.rstrip("/") == "/tmp" for path in paths):  # noqa: S108
        return None
    names = [item.get("name") for item in (volumes.items if volumes is not None else ())]
    # Of its own, so that containers of a pod do not share what they write.
    name = "tmp" if len(pod.containers) == 1 else f"tmp-{container.name.rpartition('.')[2]}"
    if any(node is not None and node.value == name for node in names):
        return None
    mount: dict[str, Value] = {"name": name, "mountPath": "/tmp"}  # noqa: S108 - in a container
    after = _appended(text, (*container.place, "volumeMounts"), mount, mounts)
    return after and _appended(
        after, (*pod.place, "volumes"), {"name": name, "emptyDir": {}}, volumes
    )


def _appended(text: str, place: Place, item: Value, items: Node | None) -> str | None:
    return append(text, place, item) if items is not None else put(text, place, [item])


def set_in_container(text: str, container: Container, keys: Place, *, value: Value) -> str | None:
    """Set what the security context of a container says."""
    return put(text, (*container.place, SECURITY, *keys), value, after=("image", "imagePullPolicy"))


def set_in_pod(text: str, pod: Pod, keys: Place, *, value: Value) -> str | None:
    """Set what the security context of a pod says."""
    return put(text, (*pod.place, SECURITY, *keys), value, before=("containers",))
