"""Java and Kotlin: cookies, CORS, redirects, and errors that tell too much."""

from collections.abc import Callable

import pytest

Mend = Callable[..., str | None]

MENDED = [
    # rule, path, before, after; whole files
    (
        "cookie-missing-secure-flag",
        "Cookies.java",
        """\
class Cookies {
    void set(HttpServletResponse response, String id) {
        Cookie cookie = new Cookie("session", id);
        cookie.setHttpOnly(true);
        response.addCookie(cookie);
    }
}
""",
        """\
class Cookies {
    void set(HttpServletResponse response, String id) {
        Cookie cookie = new Cookie("session", id);
        cookie.setHttpOnly(true);
        cookie.setSecure(true);
        response.addCookie(cookie);
    }
}
""",
    ),
    (
        "java.servlets.cookie-secure-flag-false",
        "Cookies.java",
        """\
class Cookies {
    void set(HttpServletResponse response, String id) {
        Cookie cookie = new Cookie("session", id);
        cookie.setSecure(false);
        cookie.setHttpOnly(false);
        response.addCookie(cookie);
    }

    ResponseCookie made(String id) {
        return ResponseCookie.from("session", id).httpOnly(false).secure(false).build();
    }
}
""",
        """\
class Cookies {
    void set(HttpServletResponse response, String id) {
        Cookie cookie = new Cookie("session", id);
        cookie.setSecure(true);
        cookie.setHttpOnly(true);
        response.addCookie(cookie);
    }

    ResponseCookie made(String id) {
        return ResponseCookie.from("session", id).httpOnly(true).secure(true).build();
    }
}
""",
    ),
    (
        "ktor-insecure-cookie",
        "Sessions.kt",
        """\
fun Application.sessions() {
    install(Sessions) {
        cookie<UserSession>("session") {
            cookie.path = "/"
            cookie.httpOnly = false
            cookie.secure = false
        }
    }
}
""",
        """\
fun Application.sessions() {
    install(Sessions) {
        cookie<UserSession>("session") {
            cookie.path = "/"
            cookie.httpOnly = true
            cookie.secure = true
        }
    }
}
""",
    ),
    (
        "ktor-session-cookie-not-secure",
        "Sessions.kt",
        """\
fun Application.sessions() {
    install(Sessions) {
        cookie<UserSession>("session") {
            cookie.path = "/"
        }
    }
}
""",
        """\
fun Application.sessions() {
    install(Sessions) {
        cookie<UserSession>("session") {
            cookie.secure = true
            cookie.path = "/"
        }
    }
}
""",
    ),
    (
        "cookie-samesite-none",
        "Sessions.kt",
        """\
fun Application.sessions() {
    install(Sessions) {
        cookie<UserSession>("session") {
            cookie.secure = true
            cookie.extensions["SameSite"] = "None"
        }
    }
}
""",
        """\
fun Application.sessions() {
    install(Sessions) {
        cookie<UserSession>("session") {
            cookie.secure = true
            cookie.extensions["SameSite"] = "Lax"
        }
    }
}
""",
    ),
    (
        "ktor-cors-any-host",
        "Cors.kt",
        """\
fun Application.cors() {
    install(CORS) {
        anyHost()
        allowCredentials = true
        allowHeader(HttpHeaders.ContentType)
    }
}
""",
        """\
fun Application.cors() {
    install(CORS) {
        anyHost()
        allowHeader(HttpHeaders.ContentType)
    }
}
""",
    ),
    (
        "spring-cors",
        "Cors.java",
        """\
class Cors implements WebMvcConfigurer {
    public void addCorsMappings(CorsRegistry registry) {
        registry.addMapping("/**").allowedOriginPatterns("*").allowCredentials(true);
    }
}
""",
        """\
class Cors implements WebMvcConfigurer {
    public void addCorsMappings(CorsRegistry registry) {
        registry.addMapping("/**").allowedOriginPatterns("*").allowCredentials(false);
    }
}
""",
    ),
    (
        "ktor-error-message-leak",
        "Errors.kt",
        """\
private val logger = LoggerFactory.getLogger("errors")

fun Application.errors() {
    install(StatusPages) {
        exception<Throwable> { call, cause ->
            call.respondText(text = "500: $cause", status = HttpStatusCode.InternalServerError)
        }
    }
}

fun Route.items() {
    get("/items") {
        try {
            call.respond(load())
        } catch (e: Exception) {
            logger.warn("items failed", e)
            call.respond(HttpStatusCode.InternalServerError, mapOf("error" to e.message))
        }
    }
}
""",
        """\
private val logger = LoggerFactory.getLogger("errors")

fun Application.errors() {
    install(StatusPages) {
        exception<Throwable> { call, cause ->
            logger.error("Request failed", cause)
            call.respondText(text = "Request failed", status = HttpStatusCode.InternalServerError)
        }
    }
}

fun Route.items() {
    get("/items") {
        try {
            call.respond(load())
        } catch (e: Exception) {
            logger.warn("items failed", e)
            call.respond(HttpStatusCode.InternalServerError, mapOf("error" to "Request failed"))
        }
    }
}
""",
    ),
    (
        "active-debug-code-printstacktrace",
        "Errors.java",
        """\
class Errors {
    void fail(Exception e, HttpServletResponse response) throws IOException {
        e.printStackTrace(response.getWriter());
    }
}
""",
        """\
class Errors {
    void fail(Exception e, HttpServletResponse response) throws IOException {
        e.printStackTrace();
    }
}
""",
    ),
    (
        "ktor-open-redirect",
        "Login.kt",
        """\
fun Route.login() {
    get("/done") {
        call.respondRedirect(call.request.queryParameters["next"] ?: "/home")
    }
    get("/out") {
        call.respondRedirect(call.parameters["to"]!!)
    }
}
""",
        """\
fun Route.login() {
    get("/done") {
        call.respondRedirect(call.request.queryParameters["next"]?.takeIf { it.startsWith("/") && !it.startsWith("//") && !it.startsWith("/\\\\") && '\\t' !in it } ?: "/home")
    }
    get("/out") {
        call.respondRedirect(call.parameters["to"]?.takeIf { it.startsWith("/") && !it.startsWith("//") && !it.startsWith("/\\\\") && '\\t' !in it } ?: "/")
    }
}
""",
    ),
]

LEFT = [
    # what gets no fix: rule, path, text
    (
        "cookie-missing-secure-flag",
        "A.java",
        """\
class A {
    void set(HttpServletResponse response, String id) {
        Cookie cookie = new Cookie("session", id);
        cookie.setSecure(true);
        cookie.setHttpOnly(true);
        response.addCookie(cookie);
    }

    void pass(HttpServletResponse response, Cookie cookie) {
        response.addCookie(cookie);
    }
}
""",
    ),
    (
        "ktor-cors-any-host",
        "A.kt",
        """\
fun Application.cors() {
    install(CORS) {
        anyHost()
        allowHeader(HttpHeaders.ContentType)
    }
}
""",
    ),
    (
        "ktor-cors",
        "A.kt",
        """\
fun Application.cors() {
    install(CORS) {
        allowHost("app.example.com", listOf("https"))
        allowCredentials = true
    }
}
""",
    ),
    (
        "ktor-error-message-leak",
        "A.kt",
        """\
fun Route.items() {
    get("/items") {
        try {
            call.respond(load())
        } catch (e: Exception) {
            call.respondText("failed")
        }
    }
}
""",
    ),
    (
        "ktor-open-redirect",
        "Login.kt",
        """\
fun Route.login() {
    get("/done") {
        call.respondRedirect("/home")
    }
    get("/out") {
        call.respondRedirect(links.getValue(call.parameters["to"]!!))
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
