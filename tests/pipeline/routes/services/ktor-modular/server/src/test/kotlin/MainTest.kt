import io.ktor.server.routing.*
import io.ktor.server.testing.testApplication

class MainTest {
    fun fake() = testApplication {
        routing { get("/library/fake") { call.respondText("fake") } }
    }
}
