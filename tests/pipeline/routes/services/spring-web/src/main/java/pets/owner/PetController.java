package pets.owner;
@Controller
@RequestMapping("/owners/{ownerId}")
class PetController {
	@GetMapping("/pets/new")
	public String initCreationForm(Owner owner, ModelMap model) {
		return ""; // h:pet.new
	}
	@PostMapping("/pets/{petId}/edit")
	public String processUpdateForm(Owner owner, @Valid Pet pet) {
		return ""; // h:pet.update
	}
}
