"""What is known of public base images: how a user is made there, which there is, what tools are.

From the images' own documentation. A private image, and one that is not listed, is of no family.
"""

import re
from typing import Literal

import msgspec

Family = Literal["alpine", "debian", "rpm", "distroless", "scratch", "windows", "unknown"]


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an image."""

    name: str
    """Without registry of Docker Hub, tag and digest."""
    family: Family
    user: str = ""
    """An unprivileged user that is there and not used by default."""
    is_unprivileged: bool = False
    """Whether it runs as such a user by default."""
    needs_root: bool = False
    """Whether its own start-up has to be root, and steps down by itself."""
    runs_containers: bool = False
    """Whether it starts containers of its own, for which it has to be privileged."""


_DEBIAN = re.compile(
    r"buildpack-deps|dart|debian|eclipse-temurin|elixir|erlang|golang|gradle|haskell|ibmjava|julia"
    r"|maven|node|perl|php|python|r-base|ruby|rust|swift|ubuntu"
)
_RPM = re.compile(r"almalinux|amazoncorretto|amazonlinux|centos|fedora|oraclelinux|rockylinux")
_NEEDS_ROOT = re.compile(
    r"caddy|cassandra|couchdb|docker|elasticsearch|haproxy|httpd|influxdb|kafka|mariadb|mongo|mysql"
    r"|nextcloud|nginx|postgres|rabbitmq|redis|registry|solr|sonarqube|tomcat|traefik|valkey|vault"
    r"|wordpress|zookeeper"
)
_RUNS_CONTAINERS = re.compile(
    r"docker|(?:.*/)?(?:docker|podman|buildah)|moby/buildkit|kindest/node|rancher/(?:k3s|rancher)"
)
_PHP_SERVER = re.compile(r"apache|fpm")
_UNPRIVILEGED = re.compile(
    r"cgr\.dev/chainguard/|bitnami/|nginxinc/nginx-unprivileged|grafana/|prom/|jenkins/jenkins"
    r"|docker\.elastic\.co/|quay\.io/keycloak/|jetty|memcached"
    r"|registry\.access\.redhat\.com/ubi\d+/(?:nodejs|python|openjdk|ruby|php|go-toolset|nginx)"
)
_USERS = {"gradle": "gradle", "node": "node"}
_SLIM_DEBIAN = re.compile(r"slim|buster|bullseye|bookworm|trixie|jammy|noble|focal")
_DOTNET = re.compile(r"mcr\.microsoft\.com/dotnet/(?:aspnet|runtime|runtime-deps|sdk)")
_HAS_APP_USER = re.compile(r"(?:[89]|[1-9]\d)\.")
_HUB = re.compile(r"^(?:docker\.io/|index\.docker\.io/)?(?:library/)?")
_DISTROLESS = "gcr.io/distroless/"


def base_of(image: str) -> Base:
    """Return what is known of an image by its name and tag."""
    plain = _HUB.sub("", image.lower(), count=1).partition("@")[0]
    name, colon, tag = plain.rpartition(":")
    if not colon or "/" in tag:
        name, tag = plain, ""
    if "windows" in tag or "nanoserver" in plain or "windows" in name:
        return Base(name=name, family="windows")
    if name == "scratch":
        return Base(name=name, family="scratch")
    if name.startswith(_DISTROLESS):
        return Base(
            name=name,
            family="distroless",
            user="" if "nonroot" in tag else "nonroot",
            is_unprivileged="nonroot" in tag,
        )
    if _DOTNET.fullmatch(name):
        return _dotnet(name, tag)
    return Base(
        name=name,
        family=_family(name, tag),
        user=_USERS.get(name, ""),
        is_unprivileged=_UNPRIVILEGED.match(name) is not None,
        needs_root=_NEEDS_ROOT.fullmatch(name) is not None
        or (name == "php" and _PHP_SERVER.search(tag) is not None),
        runs_containers=_RUNS_CONTAINERS.fullmatch(name) is not None or "dind" in plain,
    )


def _dotnet(name: str, tag: str) -> Base:
    """.NET 8 and later bring a user `app`; the chiselled images use it."""
    is_chiselled = "chiseled" in tag
    return Base(
        name=name,
        family="distroless" if is_chiselled else "alpine" if "alpine" in tag else "debian",
        user="app" if _HAS_APP_USER.match(tag) and not name.endswith("sdk") else "",
        is_unprivileged=is_chiselled,
    )


def _family(name: str, tag: str) -> Family:
    is_debian = _DEBIAN.fullmatch(name) or _NEEDS_ROOT.fullmatch(name)
    is_rpm = _RPM.fullmatch(name) or name.startswith("registry.access.redhat.com/ubi")
    if name in {"alpine", "busybox"} or (
        "alpine" in tag and (is_debian or is_rpm or name == "openjdk")
    ):
        return "alpine"
    if is_rpm or "ubi" in tag:
        return "rpm"
    if is_debian:
        return "debian"
    return "debian" if name == "openjdk" and _SLIM_DEBIAN.search(tag) else "unknown"
