package org.demo

const val ROOT = "/webauthn"

object Routes {
    const val REGISTER = "$ROOT/register"
    const val AUTHENTICATE = "${ROOT}/authenticate"
}
