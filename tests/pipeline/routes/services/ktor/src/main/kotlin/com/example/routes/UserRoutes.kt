package com.example.routes

import com.example.Paths
import io.ktor.http.*
import io.ktor.server.application.*
import io.ktor.server.response.*
import io.ktor.server.routing.*

fun Route.users() {
    val store = UserStore()

    route(Paths.USERS) {
        get {
            // h:users.list
            call.respond(store.all())
        }
        post {
            // h:users.create
            val body = call.receive<User>()
            call.respond(HttpStatusCode.Created, store.add(body))
        }
        get("/me") {
            // h:users.me
            call.respond(store.me())
        }
        route("/{id}") {
            get {
                // h:users.find
                val id = call.parameters["id"] ?: return@get call.respond(HttpStatusCode.BadRequest)
                if (id.isBlank()) {
                    call.respond(HttpStatusCode.NotFound)
                }
                call.respond(store.get(id))
            }
            put("/avatar", ::putAvatar)
            delete {
                // h:users.delete
                store.remove(call.parameters["id"]!!)
            }
            posts()
        }
    }
}

suspend fun putAvatar(context: RoutingContext) {
    // h:users.avatar
    context.call.respondText("done")
}

private fun Route.posts() = route("/posts") {
    get("/{post}") {
        // h:posts.find
        call.respondText("post")
    }
}
