package io.acme.inventory;

import io.acme.base.Crud;
import org.springframework.web.bind.annotation.*;

@RestController @RequestMapping(path = "/inventory/items/")
public class ItemResource extends Crud<Item, Long> {

    @RequestMapping(method = RequestMethod.GET)
    public java.util.List<Item> search(@RequestParam(required = false) String q) {
        // h:items.search
        return null;
    }

    @Override
    @DeleteMapping(KEY)
    public void remove(@PathVariable Long key) {
        // h:items.remove
    }

    @RequestMapping(value = KEY + "/stock", method = {RequestMethod.POST, RequestMethod.PUT})
    public void stock(@PathVariable Long key, @RequestBody Amount amount) { /* h:items.stock */ }

    @GetMapping("export.{format}")
    public String export(@PathVariable String format) {
        // h:items.export
        return format;
    }
}
