package com.shop.api;

import org.springframework.web.bind.annotation.RestController;

@RestController
public class OrdersController extends Audited implements OrdersApi {
    @Override
    public Order find(String number) {
        // h:orders.find
        return null;
    }

    @Override
    public Order byName(String name) {
        // h:orders.byName
        return null;
    }

    @Override
    public String export() {
        // h:orders.export
        return "";
    }

    @Override
    public void add(String number, String item) {
        // h:orders.add
    }
}
