package com.shop.config;

public final class ApiPaths {
    public static final String API = "/api";
    public static final String USERS = API + "/users";
    static final String ID = "/{id}";

    public interface Orders {
        String ROOT = ApiPaths.API + "/orders";
        String EXPORT = "/export";
    }

    private ApiPaths() {}
}
