package org.example.library.plugins

import io.ktor.server.application.*
import io.ktor.server.auth.*
import io.ktor.server.auth.jwt.*

const val USER_AUTH = "user-jwt"

fun Application.configureSecurity() {
    install(Authentication) {
        jwt(USER_AUTH) {
            validate { credential -> JWTPrincipal(credential.payload) }
        }
    }
}

fun Application.configureSerialization() {
    install(ContentNegotiation) { json() }
}
