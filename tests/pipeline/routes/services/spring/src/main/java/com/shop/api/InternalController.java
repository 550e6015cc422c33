package com.shop.api;

import org.springframework.web.bind.annotation.*;

@RestController
@RequestMapping({"${app.internal.base}/v1", "${app.old.base:/old}"})
public class InternalController {
    @GetMapping({"/metrics", "/stats"})
    public String metrics() {
        // h:internal.metrics
        return "";
    }

    @PatchMapping("/flags/{flag}")
    public void flag(@PathVariable String flag) {
        // h:internal.flag
    }
}
