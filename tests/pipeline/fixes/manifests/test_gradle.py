"""Gradle: scripts in Groovy and Kotlin, version catalogues, properties, constraints."""

from typing import Any

import pytest

KOTLIN = """plugins {
    kotlin("jvm") version "2.0.0"
}

val nettyVersion = "4.1.101.Final" // pinned
val ktor_version: String by project
extra["jackson.version"] = "2.14.0"

dependencies {
    // "io.netty:netty-codec:4.1.101.Final" was here
    implementation("io.netty:netty-codec:$nettyVersion")
    implementation("io.netty:netty-common:${nettyVersion}")
    implementation("io.ktor:ktor-client-core:$ktor_version")
    implementation("com.google.guava:guava:31.1-jre") // für alle
    implementation("x.y:jackson:${property("jackson.version")}")
    implementation(group = "a.b", name = "c", version = "1.0")
    implementation(libs.logback.classic)
    implementation(libs.bundles.net)
    implementation("r.s:ranged:[1.0,2.0)")
}
"""
GROOVY = """plugins { id 'java' }
ext {
    nettyVersion = '4.1.101.Final'
    set('guavaVersion', '31.1-jre')
}
def commons = "3.12.0"

dependencies {
    implementation platform("io.netty:netty-bom:${nettyVersion}")
    implementation "com.google.guava:guava:${rootProject.ext.guavaVersion}"
    implementation group: 'org.apache.commons', name: 'commons-lang3', version: commons
    implementation "org.apache.commons:commons-text:$commons"
    runtimeOnly 'a.b:strict:1.0!!'
    testImplementation('a.b:c:1.0@jar') { exclude group: 'x' }
}
"""
CATALOGUE = """[versions]
logback = "1.3.5" # with Java 8
okio = { strictly = "1.0", prefer = "1.0" }

[libraries]
logback-classic = { module = "ch.qos.logback:logback-classic", version.ref = "logback" }
logback-access = { group = "ch.qos.logback", name = "logback-access", version.ref = "logback" }
okio = { module = "c.s:okio", version.ref = "okio" }
short = "u.v:short:1.0"
unused = 'u.v:unused:1.0'
own = { module = "u.v:own", version = "1.0" }

[bundles]
net = ["okio", "short", "own"]
"""
LOCK = """# This is a Gradle generated file
ch.qos.logback:logback-core:1.3.5=runtimeClasspath,testRuntimeClasspath
io.netty:netty-handler:4.1.101.Final=compileClasspath,testCompileClasspath
org.z:test-only:1.0=testCompileClasspath,testRuntimeClasspath
org.z:tool:1.0=_internal-unified-test-platform-core
org.z:checker:1.0=detekt
org.z:jmh:1.0=jmhRuntimeClasspath
empty=
"""
PROJECT = {
    "server/build.gradle.kts": KOTLIN,
    "gradle/libs.versions.toml": CATALOGUE,
    "gradle.properties": "org.gradle.caching=true\nktor_version=2.3.7\n",
    "settings.gradle.kts": 'include("server")\n',
}


@pytest.mark.parametrize(
    ("name", "installed", "version", "path", "old", "new"),
    [
        ("io.netty:netty-codec", "4.1.101.Final", "4.1.125.Final", "server/build.gradle.kts", '= "4.1.101.Final"', '= "4.1.125.Final"'),
        ("io.ktor:ktor-client-core-jvm", "2.3.7", "2.3.13", "gradle.properties", "2.3.7", "2.3.13"),
        ("com.google.guava:guava", "31.1-jre", "32.0.0-jre", "server/build.gradle.kts", "31.1-jre", "32.0.0-jre"),
        ("x.y:jackson", "2.14.0", "2.15.0", "server/build.gradle.kts", "2.14.0", "2.15.0"),
        ("a.b:c", "1.0", "1.1", "server/build.gradle.kts", 'version = "1.0"', 'version = "1.1"'),
        ("ch.qos.logback:logback-classic", "1.3.5", "1.3.12", "gradle/libs.versions.toml", "1.3.5", "1.3.12"),
        ("u.v:short", "1.0", "1.1", "gradle/libs.versions.toml", "u.v:short:1.0", "u.v:short:1.1"),
        ("u.v:own", "1.0", "1.1", "gradle/libs.versions.toml", 'version = "1.0"', 'version = "1.1"'),
        ("c.s:okio", "1.0", "1.1", "gradle/libs.versions.toml", 'strictly = "1.0", prefer = "1.0"', 'strictly = "1.1", prefer = "1.1"'),
    ],
)  # fmt: skip
def test_where_a_kotlin_build_says_it(
    *, mend: Any, asked: Any, name: str, installed: str, version: str, path: str, old: str, new: str
) -> None:
    """The one place that gives the version changes, and not a character beside it."""
    wanted = asked(
        name=name,
        installed=installed,
        version=version,
        ecosystem="Maven",
        path="server/gradle.lockfile",
    )
    (fix,) = mend(PROJECT, wanted)
    assert fix.path == path
    assert fix.after == PROJECT[path].replace(old, new, 1)
    assert "`./gradlew :server:dependencies --write-locks`" in fix.reason


@pytest.mark.parametrize(
    ("name", "installed", "version", "old", "new"),
    [
        ("io.netty:netty-handler", "4.1.101.Final", "4.1.118.Final", "'4.1.101.Final'", "'4.1.118.Final'"),
        ("com.google.guava:guava", "31.1-jre", "32.0.0-jre", "'31.1-jre'", "'32.0.0-jre'"),
        ("org.apache.commons:commons-text", "3.12.0", "3.18.0", '"3.12.0"', '"3.18.0"'),
        ("a.b:strict", "1.0", "1.1", "1.0!!", "1.1!!"),
        ("a.b:c", "1.0", "1.1", "c:1.0@jar", "c:1.1@jar"),
    ],
)  # fmt: skip
def test_where_a_groovy_build_says_it(
    *, mend: Any, asked: Any, name: str, installed: str, version: str, old: str, new: str
) -> None:
    """Variables, a bill of materials, strict versions and artifacts only are all found."""
    wanted = asked(
        name=name, installed=installed, version=version, ecosystem="Maven", path="gradle.lockfile"
    )
    (fix,) = mend({"build.gradle": GROOVY}, wanted)
    assert fix.after == GROOVY.replace(old, new, 1)


def test_what_goes_up_with_it(mend: Any, asked: Any) -> None:
    """A version that several libraries share is said to raise them all."""
    path = "server/gradle.lockfile"
    netty = asked(
        name="io.netty:netty-codec",
        installed="4.1.101.Final",
        version="4.1.125.Final",
        ecosystem="Maven",
        path=path,
    )
    logback = asked(
        name="ch.qos.logback:logback-classic",
        installed="1.3.5",
        version="1.3.12",
        ecosystem="Maven",
        path=path,
    )
    for wanted in (netty, logback):
        assert "with it 1 more library of that version" in mend(PROJECT, wanted)[0].reason


def test_a_constraint_for_what_others_bring_in(mend: Any, asked: Any) -> None:
    """What no script declares is constrained in the lock file's module."""
    texts = {**PROJECT, "server/gradle.lockfile": LOCK}
    wanted = asked(
        name="io.netty:netty-handler",
        installed="4.1.101.Final",
        version="4.1.118.Final",
        ecosystem="Maven",
        path="server/gradle.lockfile",
    )
    (fix,) = mend(texts, wanted)
    constraint = (
        "    constraints {\n"
        '        implementation("io.netty:netty-handler:4.1.118.Final") {\n'
        '            because("CVE-2024-1000")\n'
        "        }\n"
        "    }\n"
    )
    assert fix.after == KOTLIN.removesuffix("}\n") + constraint + "}\n"


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("test-only", "testImplementation('org.z:test-only:1.1')"),
        ("checker", "detekt('org.z:checker:1.1')"),
        ("jmh", "jmhImplementation('org.z:jmh:1.1')"),
        ("tool", None),
        ("gone", None),
    ],
)
def test_a_constraint_is_where_the_lock_file_has_it(
    mend: Any, asked: Any, name: str, call: str | None
) -> None:
    """Tests alone are constrained for tests; a plugin's own tools, out of reach, are left alone."""
    script = (
        "dependencies {\n  detekt 'x:y:1'\n  jmhImplementation 'x:z:1'\n  constraints {\n  }\n}\n"
    )
    wanted = asked(
        name=f"org.z:{name}",
        installed="1.0",
        version="1.1",
        ecosystem="Maven",
        path="gradle.lockfile",
    )
    fixes = mend({"build.gradle": script, "gradle.lockfile": LOCK}, wanted)
    assert len(fixes) == bool(call)
    for fix in fixes:
        added = f"    {call} {{\n      because 'CVE-2024-1000'\n    }}\n"
        assert fix.after == script.replace("  }\n}", f"{added}  }}\n}}")


def test_android_tests(mend: Any, asked: Any) -> None:
    """An Android module's variants lead to its own configurations."""
    script = 'plugins {\n    id("com.android.application")\n}\n\ndependencies {\n}\n'
    lock = "a:main:1.0=debugRuntimeClasspath,releaseRuntimeClasspath\na:ui:1.0=debugAndroidTestCompileClasspath\na:unit:1.0=debugUnitTestRuntimeClasspath\n"
    texts = {"app/build.gradle.kts": script, "app/gradle.lockfile": lock}
    for name, bucket in (
        ("main", "implementation"),
        ("ui", "androidTestImplementation"),
        ("unit", "testImplementation"),
    ):
        wanted = asked(
            name=f"a:{name}",
            installed="1.0",
            version="1.1",
            ecosystem="Maven",
            path="app/gradle.lockfile",
        )
        assert f'        {bucket}("a:{name}:1.1") {{' in mend(texts, wanted)[0].after


def test_spring_manages_dependencies_itself(mend: Any, asked: Any) -> None:
    """Its plugin overrides constraints, and is told in its own block."""
    script = "plugins {\n    id 'io.spring.dependency-management' version '1.1.4'\n}\n"
    wanted = asked(
        name="a:b", installed="1.0", version="1.1", ecosystem="Maven", path="build.gradle"
    )
    (fix,) = mend({"build.gradle": script}, wanted)
    assert (
        fix.after
        == script
        + "\ndependencyManagement {\n    dependencies {\n        dependency 'a:b:1.1'\n    }\n}\n"
    )


def test_a_block_on_one_line_is_opened(mend: Any, asked: Any) -> None:
    """A block without lines of its own gets them."""
    wanted = asked(
        name="a:b", installed="1.0", version="1.1", ecosystem="Maven", path="build.gradle"
    )
    (fix,) = mend({"build.gradle": "dependencies { implementation 'x:y:1' }\n"}, wanted)
    assert fix.after.startswith("dependencies {\n    implementation 'x:y:1'\n    constraints {\n")
    assert fix.after.endswith("        }\n    }\n}\n")


def test_scripts_around_the_module(mend: Any, asked: Any) -> None:
    """A root script counts where it speaks for its modules, a convention plugin always."""
    root = "subprojects {\n    dependencies {\n        implementation 'a:b:1.0'\n    }\n}\ndependencies {\n    implementation 'c:d:1.0'\n}\n"
    plugin = 'dependencies {\n    implementation("e:f:${Versions.ef}")\n}\n'
    constants = 'object Versions {\n    const val ef = "1.0"\n}\n'
    texts = {
        "build.gradle": root,
        "m/build.gradle": "\n",
        "buildSrc/src/main/kotlin/conv.gradle.kts": plugin,
        "buildSrc/src/main/kotlin/Versions.kt": constants,
    }

    def of(name: str) -> Any:
        wanted = asked(
            name=name, installed="1.0", version="1.1", ecosystem="Maven", path="m/gradle.lockfile"
        )
        return mend(texts, wanted)[0]

    assert of("a:b").after == root.replace("a:b:1.0", "a:b:1.1")
    assert of("c:d").path == "m/build.gradle"
    assert of("e:f").after == constants.replace("1.0", "1.1")


@pytest.mark.parametrize(
    ("name", "installed", "version"),
    [("r.s:ranged", "1.5", "1.6"), ("u.v:nowhere", "1.0", "1.1")],
)
def test_nothing_is_guessed(mend: Any, asked: Any, name: str, installed: str, version: str) -> None:
    """A range, and a module without a script, are left alone."""
    texts = PROJECT if "ranged" in name else {"settings.gradle.kts": ""}
    wanted = asked(
        name=name,
        installed=installed,
        version=version,
        ecosystem="Maven",
        path="server/gradle.lockfile",
    )
    assert mend(texts, wanted) == ()


def test_a_strict_version_stands_against_a_constraint(mend: Any, asked: Any) -> None:
    """A module with a rich version of its own is not constrained against it."""
    script = 'dependencies {\n    implementation("a:b") {\n        version { strictly("1.0") }\n    }\n}\n'
    wanted = asked(
        name="a:b", installed="1.0", version="1.1", ecosystem="Maven", path="build.gradle.kts"
    )
    assert mend({"build.gradle.kts": script}, wanted) == ()


def test_a_library_that_the_catalogue_has_and_nobody_uses(mend: Any, asked: Any) -> None:
    """An unused entry gives no version to anything, so that the package is constrained."""
    wanted = asked(
        name="u.v:unused",
        installed="1.0",
        version="1.1",
        ecosystem="Maven",
        path="server/gradle.lockfile",
    )
    (fix,) = mend(PROJECT, wanted)
    assert fix.path == "server/build.gradle.kts"


def test_a_jar_in_an_image(mend: Any, asked: Any) -> None:
    """What an image carries is raised where one file of the project declares it, else not."""
    wanted = asked(
        name="com.google.guava:guava",
        installed="31.1-jre",
        version="32.0.0-jre",
        ecosystem="jar",
        path="app/app.jar",
        image="ghcr.io/acme/server:latest",
    )
    assert mend(PROJECT, wanted)[0].path == "server/build.gradle.kts"
    twice = {**PROJECT, "other/build.gradle.kts": KOTLIN}
    assert mend(twice, wanted) == ()
    transitive = asked(
        name="a:b", installed="1.0", version="1.1", ecosystem="jar", path="app/app.jar", image="x"
    )
    assert mend(PROJECT, transitive) == ()


def test_another_copy_in_an_image(mend: Any, asked: Any) -> None:
    """A version in an image that the project does not declare is not the project's copy."""
    wanted = asked(
        name="com.google.guava:guava",
        installed="30.0-jre",
        version="32.0.0-jre",
        ecosystem="jar",
        path="opt/tool.jar",
        image="x",
    )
    assert mend(PROJECT, wanted) == ()


def test_a_catalogue_in_the_settings(mend: Any, asked: Any) -> None:
    """Version catalogues are also written in settings scripts."""
    text = """dependencyResolutionManagement {
    versionCatalogs {
        create("libs") {
            library("codec", "io.netty:netty-codec:4.1.101.Final")
        }
    }
}
"""
    wanted = asked(
        name="io.netty:netty-codec",
        installed="4.1.101.Final",
        version="4.1.125.Final",
        ecosystem="Maven",
        path="m/gradle.lockfile",
    )
    (fix,) = mend({"settings.gradle.kts": text, "m/build.gradle.kts": "\n"}, wanted)
    assert fix.after == text.replace("4.1.101", "4.1.125")


def test_a_bill_of_another_version_is_another_bill(mend: Any, asked: Any) -> None:
    """Only a bill of materials with the installed version is taken for the package's."""
    script = "dependencies {\n    implementation platform('io.netty:netty-bom:4.1.90.Final')\n}\n"
    wanted = asked(
        name="io.netty:netty-handler",
        installed="4.1.101.Final",
        version="4.1.118.Final",
        ecosystem="Maven",
        path="build.gradle",
    )
    (fix,) = mend({"build.gradle": script}, wanted)
    assert "netty-bom:4.1.90.Final" in fix.after
    assert "implementation('io.netty:netty-handler:4.1.118.Final')" in fix.after
