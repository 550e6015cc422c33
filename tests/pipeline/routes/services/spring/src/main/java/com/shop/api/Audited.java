package com.shop.api;

import org.springframework.web.bind.annotation.GetMapping;

public abstract class Audited {
    @GetMapping("/audit")
    public String audit() {
        // h:orders.audit
        return "";
    }
}
