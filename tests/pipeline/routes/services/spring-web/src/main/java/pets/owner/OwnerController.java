package pets.owner;
@Controller
class OwnerController {
	private static final String VIEWS = "owners/createOrUpdateOwnerForm";
	@InitBinder
	public void setAllowedFields(WebDataBinder dataBinder) { }
	@GetMapping("/owners/new")
	public String initCreationForm() {
		return VIEWS; // h:owner.new
	}
	@PostMapping("/owners/new")
	public String processCreationForm(@Valid Owner owner, BindingResult result) {
		return "redirect:/owners/" + owner.getId(); // h:owner.create
	}
	@GetMapping("/owners")
	public String processFindForm(@RequestParam(defaultValue = "1") int page, Owner owner) {
		return ""; // h:owner.list
	}
	@GetMapping("/owners/{ownerId}/edit")
	public String initUpdateOwnerForm() {
		return VIEWS; // h:owner.edit
	}
	@GetMapping("/owners/{ownerId}")
	public ModelAndView showOwner(@PathVariable("ownerId") int ownerId) {
		return null; // h:owner.show
	}
}
