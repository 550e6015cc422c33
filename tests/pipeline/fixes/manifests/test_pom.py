"""Maven: versions, properties, parents, imported bills, dependencyManagement."""

from typing import Any

import pytest

MODULE = """<?xml version="1.0" encoding="UTF-8"?>
<!-- für alle -->
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <parent>
    <groupId>g</groupId>
    <artifactId>p</artifactId>
    <version>1</version>
  </parent>
  <properties>
    <netty.version>4.1.101.Final</netty.version>
  </properties>

  <dependencies>
    <dependency>
      <groupId>io.netty</groupId>
      <artifactId>netty-codec</artifactId>
      <version>${netty.version}</version>
    </dependency>
    <dependency>
      <groupId>io.netty</groupId>
      <artifactId>netty-common</artifactId>
      <version>${netty.version}</version>
    </dependency>
    <dependency>
      <groupId>com.google.guava</groupId>
      <artifactId>guava</artifactId>
      <version>31.1-jre</version> <!-- keep -->
    </dependency>
    <dependency>
      <groupId>x</groupId>
      <artifactId>managed</artifactId>
    </dependency>
    <dependency>
      <groupId>x</groupId>
      <artifactId>ranged</artifactId>
      <version>[1.0,2.0)</version>
    </dependency>
    <dependency>
      <groupId>${project.groupId}</groupId>
      <artifactId>sibling</artifactId>
      <version>1.0</version>
    </dependency>
  </dependencies>
</project>
"""
PARENT = """<project>
    <groupId>g</groupId>
    <dependencyManagement>
        <dependencies>
            <dependency>
                <groupId>x</groupId>
                <artifactId>managed</artifactId>
                <version>1.0</version>
            </dependency>
            <dependency>
                <groupId>com.fasterxml.jackson</groupId>
                <artifactId>jackson-bom</artifactId>
                <version>2.14.0</version>
                <type>pom</type>
                <scope>import</scope>
            </dependency>
        </dependencies>
    </dependencyManagement>
</project>
"""
PROJECT = {"a/pom.xml": MODULE, "pom.xml": PARENT}
ENTRY = """<dependency>
  <groupId>y</groupId>
  <artifactId>brought-in</artifactId>
  <version>1.1</version>
</dependency>
"""


@pytest.mark.parametrize(
    ("name", "installed", "version", "path"),
    [
        ("io.netty:netty-codec", "4.1.101.Final", "4.1.125.Final", "a/pom.xml"),
        ("com.google.guava:guava", "31.1-jre", "32.0.0-jre", "a/pom.xml"),
        ("x:managed", "1.0", "1.1", "pom.xml"),
        ("com.fasterxml.jackson.core:jackson-core", "2.14.0", "2.15.0", "pom.xml"),
    ],
)
def test_where_a_pom_says_it(
    *, mend: Any, asked: Any, name: str, installed: str, version: str, path: str
) -> None:
    """A version, a property, a parent's management and an imported bill are found and raised."""
    wanted = asked(
        name=name, installed=installed, version=version, ecosystem="Maven", path="a/pom.xml"
    )
    (fix,) = mend(PROJECT, wanted)
    assert fix.path == path
    assert fix.after == PROJECT[path].replace(installed, version, 1)


def test_a_sibling_is_named_by_the_projects_group(mend: Any, asked: Any) -> None:
    """`${project.groupId}` is the parent's where a pom has none of its own."""
    wanted = asked(
        name="g:sibling", installed="1.0", version="1.1", ecosystem="Maven", path="a/pom.xml"
    )
    (fix,) = mend(PROJECT, wanted)
    assert "<artifactId>sibling</artifactId>\n      <version>1.1<" in fix.after


def test_a_shared_property_says_so(mend: Any, asked: Any) -> None:
    """What goes up with a property is counted in the reason."""
    wanted = asked(
        name="io.netty:netty-codec",
        installed="4.1.101.Final",
        version="4.1.125.Final",
        ecosystem="Maven",
        path="a/pom.xml",
    )
    assert "with it 1 more dependency of that version" in mend(PROJECT, wanted)[0].reason


def test_what_others_bring_in_is_managed(mend: Any, asked: Any) -> None:
    """An entry goes to the end of what is managed, or into a block before the dependencies."""
    wanted = asked(
        name="y:brought-in", installed="1.0", version="1.1", ecosystem="Maven", path="a/pom.xml"
    )
    (fix,) = mend(PROJECT, wanted)
    lines = ["<dependencyManagement>", "  <dependencies>"]
    lines += [f"    {line}" for line in ENTRY.splitlines()]
    lines += ["  </dependencies>", "</dependencyManagement>"]
    block = "".join(f"  {line}\n" for line in lines)
    assert fix.after == MODULE.replace("  <dependencies>\n", f"{block}\n  <dependencies>\n", 1)
    (fix,) = mend(
        {"pom.xml": PARENT},
        asked(
            name="y:brought-in", installed="1.0", version="1.1", ecosystem="Maven", path="pom.xml"
        ),
    )
    entry = "".join(f"            {line}\n" for line in ENTRY.replace("  <", "    <").splitlines())
    assert fix.after == PARENT.replace(
        "        </dependencies>\n", f"{entry}        </dependencies>\n"
    )


@pytest.mark.parametrize("name", ["x:ranged", "x:managed-elsewhere"])
def test_nothing_is_guessed(mend: Any, asked: Any, name: str) -> None:
    """A range is left alone, and so is a pom whose parents lead out of the project."""
    outside = MODULE.replace(
        "  </parent>", "    <relativePath>../../..</relativePath>\n  </parent>"
    )
    text = outside if name == "x:ranged" else "<project><dependencies/></project>"
    wanted = asked(name=name, installed="1.5", version="1.6", ecosystem="Maven", path="a/pom.xml")
    assert mend({"a/pom.xml": text}, wanted) == ()


def test_a_jar_in_an_image(mend: Any, asked: Any) -> None:
    """The one pom that gives the version changes, though two modules use it."""
    texts = {**PROJECT, "b/pom.xml": MODULE.replace("${netty.version}", "4.1.1.Final")}
    wanted = asked(
        name="x:managed",
        installed="1.0",
        version="1.1",
        ecosystem="jar",
        path="app.jar",
        image="i:1",
    )
    assert [fix.path for fix in mend(texts, wanted)] == ["pom.xml"]
    guava = asked(
        name="com.google.guava:guava",
        installed="31.1-jre",
        version="32.0.0-jre",
        ecosystem="jar",
        path="app.jar",
        image="i:1",
    )
    assert mend(texts, guava) == ()
