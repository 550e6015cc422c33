package io.acme.base;

import org.springframework.web.bind.annotation.*;

public abstract class Crud<T, K> {
    protected static final String KEY = "/{key}";

    @GetMapping(KEY)
    public T read(@PathVariable K key) {
        // h:crud.read
        return null;
    }

    @DeleteMapping(KEY)
    public void remove(@PathVariable K key) {
        // h:crud.remove
    }
}
