package com.shop.api;

import static com.shop.config.ApiPaths.Orders.EXPORT;

import com.shop.config.ApiPaths;
import org.springframework.web.bind.annotation.*;

@RequestMapping(ApiPaths.Orders.ROOT)
public interface OrdersApi {
    @GetMapping("/{number:\\d{3,6}}")
    Order find(@PathVariable String number);

    @GetMapping("/{name}")
    Order byName(@PathVariable String name);

    @GetMapping(EXPORT)
    String export();

    @PostMapping("/{number}/items/{item}")
    void add(@PathVariable String number, @PathVariable String item);
}
