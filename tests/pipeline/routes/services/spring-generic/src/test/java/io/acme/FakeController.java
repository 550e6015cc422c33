package io.acme;

@RestController
class FakeController {
    @GetMapping("/inventory/fake")
    String fake() { return ""; }
}
