package com.shop.web;

import com.shop.config.ApiPaths;
import java.util.List;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.*;

@RestController
@RequestMapping(ApiPaths.USERS)
public class UserController {
    private static final String ONE = "/{id}";
    private final UserService users;

    public UserController(UserService users) {
        this.users = users;
    }

    @GetMapping
    public List<User> list() {
        // h:users.list
        return users.all();
    }

    @PostMapping(consumes = "application/json")
    public User create(@RequestBody User user) {
        // h:users.create
        return users.add(user);
    }

    @GetMapping("/me")
    public User me() {
        // h:users.me
        return users.me();
    }

    @GetMapping(ONE)
    public User find(@PathVariable Long id) {
        // h:users.find
        return users.get(id);
    }

    @RequestMapping(value = ONE, method = {RequestMethod.PUT, RequestMethod.PATCH})
    public User change(@PathVariable Long id, @RequestBody User user) {
        // h:users.change
        return users.put(id, user);
    }

    @DeleteMapping(path = ONE + "/roles/{role:[a-z]+}")
    @PreAuthorize("hasRole('ADMIN')")
    public ResponseEntity<Void> unassign(@PathVariable Long id, @PathVariable String role) {
        // h:users.unassign
        return ResponseEntity.noContent().build();
    }
}
