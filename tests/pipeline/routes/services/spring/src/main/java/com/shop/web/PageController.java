package com.shop.web;

import org.springframework.stereotype.Controller;
import org.springframework.ui.Model;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestMethod;

@Controller
class PageController {
    @RequestMapping({"/", "/index"})
    String home(Model model) {
        // h:home
        return "home";
    }

    @GetMapping("/pages/**")
    String page() {
        // h:page
        return "page";
    }

    @GetMapping("/pages/{name}.pdf")
    String pdf() {
        // h:pdf
        return "pdf";
    }

    @GetMapping("/news/{*rest}")
    String news() {
        // h:news
        return "news";
    }

    @GetMapping(value = "/login", params = "error")
    String failed() {
        // h:login.failed
        return "login";
    }

    @GetMapping("/login")
    String login() {
        // h:login.form
        return "login";
    }

    @PostMapping("/login")
    String enter() {
        // h:login.enter
        return "home";
    }

    @RequestMapping(path = "/any")
    String any() {
        // h:any
        return "any";
    }

    @RequestMapping(path = "/any", method = RequestMethod.OPTIONS)
    String anyOptions() {
        // h:any.options
        return "any";
    }
}
