package org.example.library

object Paths {
    const val API = "/api"
    const val V1 = "/v1"
    const val BOOKS = "books"
    const val BOOK_ID = "{bookId}"
}
