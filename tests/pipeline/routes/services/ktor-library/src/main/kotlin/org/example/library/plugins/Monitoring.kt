package org.example.library.plugins

import io.ktor.http.*
import io.ktor.server.application.*
import io.ktor.server.response.*
import io.ktor.server.routing.*

fun Application.configureMonitoring() {
    val registry = PrometheusMeterRegistry(PrometheusConfig.DEFAULT)
    install(MicrometerMetrics) { this.registry = registry }
    routing {
        get("/metrics") {
            // h:metrics
            call.respondText(registry.scrape())
        }
        route("/internal") {
            listOf("live", "ready").forEach { probe ->
                get("/$probe") {
                    // h:probe
                    call.respond(HttpStatusCode.OK)
                }
            }
        }
    }
}
