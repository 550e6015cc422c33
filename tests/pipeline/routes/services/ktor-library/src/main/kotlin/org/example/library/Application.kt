package org.example.library

import io.ktor.server.application.*
import io.ktor.server.netty.*
import org.example.library.plugins.*

fun main(args: Array<String>): Unit = EngineMain.main(args)

fun Application.module() {
    configureSerialization()
    configureSecurity()
    configureRouting()
    configureMonitoring()
}
