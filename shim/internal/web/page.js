"use strict";
// Every page works without this file. It copies, reveals the key while it is
// typed, keeps the choices in step with each other, says that a slow check is
// running, and submits the page of the one-time link.
(function () {
  var all = function (sel, f) { Array.prototype.forEach.call(document.querySelectorAll(sel), f); };

  all("[data-copy]", function (b) {
    if (!navigator.clipboard) { return; }
    b.hidden = false;
    var label = b.textContent;
    b.setAttribute("aria-live", "polite");
    b.addEventListener("click", function () {
      navigator.clipboard.writeText(b.dataset.copy).then(function () {
        b.textContent = b.dataset.done;
        b.classList.add("done");
      }, function () {
        b.textContent = b.dataset.failed;
        var code = b.parentNode.querySelector("code, pre");
        if (code) { window.getSelection().selectAllChildren(code); }
      }).then(function () {
        setTimeout(function () { b.textContent = label; b.classList.remove("done"); }, 2500);
      });
    });
  });

  all("[data-reveal]", function (b) {
    var field = document.getElementById(b.dataset.reveal);
    b.hidden = false;
    b.addEventListener("click", function () {
      var shown = field.classList.toggle("revealed");
      b.textContent = shown ? b.dataset.hide : b.dataset.show;
      b.setAttribute("aria-pressed", String(shown));
    });
  });

  // A new key is needed where one was announced.
  var key = document.getElementById("api_key");
  if (key && document.querySelector("input[name=credential][value=new]")) {
    var need = function () {
      key.required = !document.querySelector("input[name=key_held]") &&
        !!document.querySelector("input[name=credential][value=new]:checked");
    };
    document.addEventListener("change", need);
    need();
  }

  // A saved key of another endpoint must not stay chosen out of sight.
  all("input[name=slug]", function (radio) {
    radio.addEventListener("change", function () {
      var option = radio.closest(".option");
      all(".option input[name=credential]", function (c) {
        if (!option.contains(c)) { c.checked = false; }
      });
    });
  });

  // A page may be opened under the pointer of somebody who is double-clicking
  // elsewhere, so approval counts only after it could be seen for a moment.
  all("form[data-guard]", function (form) {
    var ready = 0, timer;
    var buttons = form.querySelectorAll("[data-guarded]");
    var each = function (f) { Array.prototype.forEach.call(buttons, f); };
    var guard = function () {
      ready = Date.now() + 800;
      each(function (b) { b.setAttribute("aria-disabled", "true"); });
      clearTimeout(timer);
      timer = setTimeout(function () { each(function (b) { b.removeAttribute("aria-disabled"); }); }, 800);
    };
    guard();
    window.addEventListener("focus", guard);
    document.addEventListener("visibilitychange", function () { if (!document.hidden) { guard(); } });
    form.addEventListener("submit", function (e) {
      if (Date.now() < ready && e.submitter && e.submitter.hasAttribute("data-guarded")) { e.preventDefault(); }
    });
  });

  // Trying a key may take seconds: say so, and send the form only once.
  all("form[method=post]", function (form) {
    var sent = false, undo = function () { };
    form.addEventListener("submit", function (e) {
      if (e.defaultPrevented) { return; }
      if (sent) { e.preventDefault(); return; }
      sent = true;
      var b = form.querySelector("button.primary[data-busy]");
      if (!b || e.submitter !== b) { return; }
      var label = b.textContent;
      b.setAttribute("aria-live", "polite");
      b.classList.add("busy");
      b.textContent = b.dataset.busy;
      undo = function () { b.textContent = label; b.classList.remove("busy"); };
    });
    window.addEventListener("pageshow", function () { sent = false; undo(); });
  });

  // A page that is only being prerendered must not use up the link.
  all("form[data-auto]", function (form) {
    if (document.prerendering) {
      document.addEventListener("prerenderingchange", function () { form.submit(); }, { once: true });
    } else {
      form.submit();
    }
  });
})();
