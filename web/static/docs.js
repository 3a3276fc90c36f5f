// Shows the document of an API, served by this very server.
window.addEventListener("DOMContentLoaded", () => {
  const docs = document.getElementById("docs");
  window.ui = SwaggerUIBundle({
    url: docs.dataset.document,
    dom_id: "#docs",
    deepLinking: true,
    validatorUrl: null,
    defaultModelsExpandDepth: 0,
  });
});
