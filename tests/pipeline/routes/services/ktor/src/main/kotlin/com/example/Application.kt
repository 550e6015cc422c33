package com.example

import com.example.admin.AdminRoutes
import com.example.plugins.configureSecurity
import com.example.routes.*
import io.ktor.server.application.*
import io.ktor.server.http.content.*
import io.ktor.server.netty.*
import io.ktor.server.response.*
import io.ktor.server.routing.*

fun main(args: Array<String>) = EngineMain.main(args)

fun Application.module() {
    configureSecurity()
    val adminRoutes = AdminRoutes(AuditLog())
    routing {
        get("/health") {
            // h:health
            call.respondText("ok")
        }
        route(Paths.V1) {
            users()
            authenticate("jwt") {
                sessions()
            }
        }
        orders(this)
        with(adminRoutes) { register() }
        articles()
        staticResources("/assets", "static")
        get("/files/{path...}") {
            // h:files
            call.respondText(call.parameters.getAll("path").orEmpty().joinToString("/"))
        }
        get("/greet/{name?}") { call.respondText("h:greet " + call.parameters["name"]) }
        route("/webhooks") {
            method(HttpMethod.Post) {
                handle {
                    // h:webhooks
                    call.respondText("taken")
                }
            }
            route("/ping", HttpMethod.Get) {
                handle {
                    // h:ping
                    call.respondText("pong")
                }
            }
        }
    }
}
