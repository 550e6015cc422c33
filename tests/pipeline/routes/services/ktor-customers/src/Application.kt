package com.sample
import com.sample.routes.*
import io.ktor.server.application.*
fun main(args: Array<String>): Unit = io.ktor.server.cio.EngineMain.main(args)
fun Application.module() {
    configureSerialization()
    configureRouting()
    registerOrderRoutes()
}
