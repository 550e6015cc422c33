package com.example.routes

import io.ktor.resources.*
import io.ktor.server.resources.*
import io.ktor.server.routing.*

@Resource("/articles")
class Articles(val sort: String? = "new") {
    @Resource("new")
    class New(val parent: Articles = Articles())

    @Resource("{id}")
    class Id(val parent: Articles = Articles(), val id: Long) {
        @Resource("edit")
        class Edit(val parent: Id)
    }
}

fun Route.articles() {
    get<Articles> { article ->
        // h:articles.list
        call.respondText(article.sort ?: "none")
    }
    get<Articles.New> {
        // h:articles.new
        call.respondText("form")
    }
    get<Articles.Id> { article ->
        // h:articles.find
        call.respondText("article ${article.id}")
    }
    post<Articles.Id.Edit> { edit ->
        // h:articles.edit
        call.respondText("edited ${edit.parent.id}")
    }
}
