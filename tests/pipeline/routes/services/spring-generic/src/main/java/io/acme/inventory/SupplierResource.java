package io.acme.inventory;

import static org.springframework.web.bind.annotation.RequestMethod.POST;

import io.acme.base.Crud;
import org.springframework.web.bind.annotation.*;

@RestController
@RequestMapping(SupplierResource.PATH)
class SupplierResource extends Crud<Supplier, String> {
    static final String PATH = "inventory/suppliers";

    @RequestMapping(path = {"import", "bulk"}, method = POST)
    void load() {
        // h:suppliers.load
    }
}
