const list = document.querySelector("#notes");
const title = document.querySelector("#title");

async function show(owner) {
  const answer = await fetch(`/api/notes?owner=${owner}`);
  const notes = await answer.json();
  title.innerHTML = owner;
  list.innerHTML = notes.map((note) => `<li>${note.title}: ${note.body}</li>`).join("");
}

function greet() {
  const name = new URLSearchParams(location.search).get("name");
  document.write("<p>Welcome back, " + name + "</p>");
}

function share(note) {
  window.parent.postMessage(note, "*");
}

window.addEventListener("message", (event) => {
  title.innerHTML = event.data.title;
  if (event.data.run) {
    setTimeout("refresh('" + event.data.run + "')", 10);
  }
});

async function login(options) {
  const credential = await navigator.credentials.get({
    publicKey: { ...options, userVerification: "discouraged" },
  });
  localStorage.setItem("session", credential.id + Math.random());
  location.href = new URLSearchParams(location.search).get("next");
}
