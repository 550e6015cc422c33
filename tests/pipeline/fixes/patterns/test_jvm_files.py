"""Java and Kotlin: paths, commands and XML."""

from collections.abc import Callable

import pytest

Mend = Callable[..., str | None]

MENDED = [
    # rule, path, before, after; whole files
    (
        "java.lang.security.audit.xxe.documentbuilderfactory-disallow-doctype-decl-missing",
        "Xml.java",
        """\
class Xml {
    Document read(InputStream in) throws ParserConfigurationException, SAXException, IOException {
        DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
        DocumentBuilder builder = factory.newDocumentBuilder();
        return builder.parse(in);
    }

    Document inline(InputStream in) throws Exception {
        return DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(in);
    }

    Transformer transformer() throws TransformerException {
        TransformerFactory factory = TransformerFactory.newInstance();
        return factory.newTransformer();
    }
}
""",
        """\
import javax.xml.XMLConstants;

class Xml {
    Document read(InputStream in) throws ParserConfigurationException, SAXException, IOException {
        DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
        factory.setFeature("http://apache.org/xml/features/disallow-doctype-decl", true);
        DocumentBuilder builder = factory.newDocumentBuilder();
        return builder.parse(in);
    }

    Document inline(InputStream in) throws Exception {
        DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
        factory.setFeature("http://apache.org/xml/features/disallow-doctype-decl", true);
        return factory.newDocumentBuilder().parse(in);
    }

    Transformer transformer() throws TransformerException {
        TransformerFactory factory = TransformerFactory.newInstance();
        factory.setAttribute(XMLConstants.ACCESS_EXTERNAL_DTD, "");
        factory.setAttribute(XMLConstants.ACCESS_EXTERNAL_STYLESHEET, "");
        return factory.newTransformer();
    }
}
""",
    ),
    (
        "xxe",
        "Xml.kt",
        """\
fun read(input: InputStream): XMLStreamReader {
    val factory = XMLInputFactory.newInstance()
    return factory.createXMLStreamReader(input)
}

fun parse(input: InputStream): Document =
    DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(input)
""",
        """\
fun read(input: InputStream): XMLStreamReader {
    val factory = XMLInputFactory.newInstance()
    factory.setProperty(XMLInputFactory.SUPPORT_DTD, false)
    factory.setProperty(XMLInputFactory.IS_SUPPORTING_EXTERNAL_ENTITIES, false)
    return factory.createXMLStreamReader(input)
}

fun parse(input: InputStream): Document =
    DocumentBuilderFactory.newInstance().apply { setFeature("http://apache.org/xml/features/disallow-doctype-decl", true) }.newDocumentBuilder().parse(input)
""",
    ),
    (
        "path-traversal",
        "Files.kt",
        """\
fun Route.attachments() {
    get("/attachments/{name}") {
        val name = call.parameters["name"]!!
        call.respondFile(File(ROOT, name))
    }
}

fun open(root: Path, name: String): InputStream {
    val path = root.resolve(name)
    return path.inputStream()
}
""",
        """\
fun Route.attachments() {
    get("/attachments/{name}") {
        val name = call.parameters["name"]!!
        val file = File(ROOT, name)
        require(file.canonicalFile.startsWith(File(ROOT, "").canonicalFile)) {
            "File outside of its folder"
        }
        call.respondFile(file)
    }
}

fun open(root: Path, name: String): InputStream {
    val path = root.resolve(name).normalize()
    require(path.startsWith(root.normalize())) {
        "Path outside of its folder"
    }
    return path.inputStream()
}
""",
    ),
    (
        "java.lang.security.zip-slip",
        "Unzip.java",
        """\
class Unzip {
    void unzip(ZipInputStream zip, File target) throws IOException {
        ZipEntry entry;
        while ((entry = zip.getNextEntry()) != null) {
            File file = new File(target, entry.getName());
            Files.copy(zip, file.toPath());
        }
    }
}
""",
        """\
class Unzip {
    void unzip(ZipInputStream zip, File target) throws IOException {
        ZipEntry entry;
        while ((entry = zip.getNextEntry()) != null) {
            File file = new File(target, entry.getName());
            if (!file.getCanonicalFile().toPath().startsWith(new File(target, "").getCanonicalFile().toPath())) {
                throw new SecurityException("File outside of its folder");
            }
            Files.copy(zip, file.toPath());
        }
    }
}
""",
    ),
    (
        "java.lang.security.httpservlet-path-traversal",
        "Files.java",
        """\
class Downloads {
  byte[] download(String name) {
    File file = new File(BASE, name + ".pdf");
    return readAll(file);
  }
}
""",
        """\
class Downloads {
  byte[] download(String name) {
    File file = new File(BASE, name + ".pdf");
    if (!file.toPath().toAbsolutePath().normalize().startsWith(new File(BASE, "").toPath().toAbsolutePath().normalize())) {
      throw new SecurityException("File outside of its folder");
    }
    return readAll(file);
  }
}
""",
    ),
    (
        "java.lang.security.audit.command-injection-formatted-runtime-call",
        "Ping.java",
        """\
class Ping {
    Process ping(String host, int times) throws IOException {
        return Runtime.getRuntime().exec("ping -c " + times + " " + host);
    }

    Process shell(String host) throws IOException {
        return new ProcessBuilder("sh", "-c", "ping -c 1 " + host).start();
    }

    Process array(String host) throws IOException {
        return Runtime.getRuntime().exec(new String[] {"/bin/sh", "-c", "ping -c 1 " + host});
    }
}
""",
        """\
class Ping {
    Process ping(String host, int times) throws IOException {
        return new ProcessBuilder("ping", "-c", String.valueOf(times), host).start();
    }

    Process shell(String host) throws IOException {
        return new ProcessBuilder("ping", "-c", "1", host).start();
    }

    Process array(String host) throws IOException {
        return Runtime.getRuntime().exec(new String[] {"ping", "-c", "1", host});
    }
}
""",
    ),
    (
        "command-injection",
        "Thumbs.kt",
        """\
fun thumbnail(name: String) {
    Runtime.getRuntime().exec("convert $ROOT/$name -resize 64x64 /var/${name}_small.png").waitFor()
}
""",
        """\
fun thumbnail(name: String) {
    ProcessBuilder("convert", "$ROOT/$name", "-resize", "64x64", "/var/${name}_small.png").start().waitFor()
}
""",
    ),
    (
        "command-injection",
        "Shell.kt",
        """\
fun render(video: File, second: Int) {
    val line = "ffmpeg -ss $second -i ${video.path} -frames:v 1 out.jpg"
    ProcessBuilder("sh", "-c", line)
        .redirectErrorStream(true)
        .start()
}
""",
        """\
fun render(video: File, second: Int) {
    ProcessBuilder("ffmpeg", "-ss", second.toString(), "-i", video.path, "-frames:v", "1", "out.jpg")
        .redirectErrorStream(true)
        .start()
}
""",
    ),
    (
        "path-traversal",
        "Avatar.java",
        """\
class Avatars {
    byte[] avatar(Path root, String name) throws IOException {
        return Files.readAllBytes(root.resolve(name));
    }
}
""",
        """\
class Avatars {
    byte[] avatar(Path root, String name) throws IOException {
        Path path = root.resolve(name).normalize();
        if (!path.startsWith(root.normalize())) {
            throw new SecurityException("Path outside of its folder");
        }
        return Files.readAllBytes(path);
    }
}
""",
    ),
]

LEFT = [
    # what gets no fix: rule, path, text
    (
        "xxe",
        "A.java",
        """\
class A {
    Document read(InputStream in) throws Exception {
        DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
        factory.setFeature("http://apache.org/xml/features/disallow-doctype-decl", true);
        return factory.newDocumentBuilder().parse(in);
    }
}
""",
    ),
    (
        "xxe",
        "A.java",
        """\
class A {
    private final DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
}
""",
    ),
    (
        "path-traversal",
        "A.kt",
        """\
fun logo() = File(ROOT, "logo.png")

fun pick(name: String): File {
    val file = File(ROOT, name)
    require(file.canonicalFile.startsWith(File(ROOT).canonicalFile))
    return file
}

fun made() = File(ROOT, UUID.randomUUID().toString())

fun leaf(upload: File) = File(ROOT, uploadFile.name)
""",
    ),
    (
        "path-traversal",
        "A.kt",
        """\
fun pick(base: URI, name: String): URI = base.uri.resolve(name)
""",
    ),
    (
        "command-injection",
        "A.java",
        """\
class A {
    Process count(String name) throws IOException {
        return new ProcessBuilder("sh", "-c", "cat " + name + " | wc -l").start();
    }

    Process any(String program) throws IOException {
        return Runtime.getRuntime().exec(program + " --version");
    }

    Process fixed() throws IOException {
        return Runtime.getRuntime().exec("uname -a");
    }
}
""",
    ),
]


@pytest.mark.parametrize(("rule", "path", "before", "after"), MENDED)
def test_weak_code_is_mended(mend: Mend, rule: str, path: str, before: str, after: str) -> None:
    """The edit ends the weakness, once, and nothing else changes."""
    assert mend(path, before, rule) == after


@pytest.mark.parametrize(("rule", "path", "text"), LEFT)
def test_what_is_right_or_unclear_stays(mend: Mend, rule: str, path: str, text: str) -> None:
    """Code without the weakness, or that only a guess could mend, gets no fix."""
    assert mend(path, text, rule) is None
