package com.example

const val API = "/api"

object Paths {
    const val V1 = "$API/v1"
    const val USERS = "/users"
    const val ORDERS = V1 + "/orders"

    object Admin {
        const val ROOT = "/admin"
        const val AUDIT = "${ROOT}/audit"
    }
}
