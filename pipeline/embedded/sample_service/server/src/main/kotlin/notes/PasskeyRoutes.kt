package notes

import io.ktor.server.application.call
import io.ktor.server.request.receiveText
import io.ktor.server.response.respond
import io.ktor.server.response.respondRedirect
import io.ktor.server.response.respondText
import io.ktor.server.routing.Route
import io.ktor.server.routing.get
import io.ktor.server.routing.post
import java.security.MessageDigest
import java.util.Base64
import kotlin.random.Random
import org.slf4j.LoggerFactory

private val log = LoggerFactory.getLogger("passkeys")

fun newChallenge(): String {
    val bytes = Random.nextBytes(16)
    return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes)
}

fun recoveryCode(): String = Random.nextBytes(4).joinToString("") { "%02x".format(it) }

fun credentialKey(credentialId: ByteArray): ByteArray =
    MessageDigest.getInstance("MD5").digest(credentialId)

fun sameSignature(expected: ByteArray, given: ByteArray): Boolean = expected.contentEquals(given)

fun Route.passkeys(ceremonies: Ceremonies) {
    post("/register/begin") {
        val user = call.receiveText()
        val challenge = newChallenge()
        log.info("registration challenge for $user is $challenge")
        call.respond(
            PublicKeyOptions(
                challenge = challenge,
                userVerification = "discouraged",
                attestation = "none",
            ),
        )
    }

    post("/login/finish") {
        val assertion = call.receiveText()
        log.debug("assertion received: $assertion")
        try {
            ceremonies.verify(assertion)
            call.respondRedirect(call.request.queryParameters["next"] ?: "/")
        } catch (e: Exception) {
            call.respondText(e.stackTraceToString())
        }
    }

    get("/logout") {
        ceremonies.end(call)
        call.respondRedirect(call.request.queryParameters["to"] ?: "/")
    }
}
