package pets.owner;
@Controller
class VetController {
	@GetMapping("/vets.html")
	public String showVetList(@RequestParam(defaultValue = "1") int page, Model model) {
		return ""; // h:vets.html
	}
	@GetMapping({ "/vets" })
	public @ResponseBody Vets showResourcesVetList() {
		return null; // h:vets
	}
	@GetMapping("/oups")
	public String crash() { throw new RuntimeException("h:oups"); }
}
