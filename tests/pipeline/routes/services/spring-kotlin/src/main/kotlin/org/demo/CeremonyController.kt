package org.demo

import org.springframework.web.bind.annotation.*

@RestController
class CeremonyController(private val service: CeremonyService) {

    @PostMapping(Routes.REGISTER + "/start")
    suspend fun startRegistration(@RequestBody request: StartRequest): StartResponse {
        // h:register.start
        return service.start(request)
    }

    @PostMapping("${Routes.REGISTER}/complete", consumes = ["application/json"])
    suspend fun completeRegistration(@RequestBody request: CompleteRequest) = service.complete(request) // h:register.complete

    @RequestMapping(
        path = ["${Routes.AUTHENTICATE}/start", "$ROOT/login"],
        method = [RequestMethod.POST, RequestMethod.PUT],
    )
    fun startAuthentication(): String {
        // h:authenticate.start
        return "challenge"
    }
}

@RestController
@RequestMapping("/credentials")
class CredentialController {
    companion object {
        private const val ONE = "/{id}"
    }

    @GetMapping
    fun list(): List<String> = emptyList() // h:credentials.list

    @GetMapping(ONE)
    fun find(@PathVariable id: String): String {
        // h:credentials.find
        return id
    }

    @DeleteMapping("$ONE/revoke", "/revoke/{id}")
    fun revoke(@PathVariable id: String) {
        // h:credentials.revoke
    }
}
