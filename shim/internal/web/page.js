"use strict";
// Every page works without this file. It copies, reveals the key while it is
// typed, keeps the choices in step with each other, says that a slow check is
// running, submits the page of the one-time link, and adds calls to the table of
// activity as they end.
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

  // Calls that end while the page is open come in at the top of the table, if
  // they are what was searched for.
  all("[data-live]", function (body) {
    var names = JSON.parse(body.dataset.servers), outcomes = JSON.parse(body.dataset.outcomes);
    var words = body.dataset.query.toLowerCase().split(/\s+/).filter(Boolean);
    var blank = document.getElementById("call").content.querySelector("tr");
    var stopped = false, most = 500;
    var two = function (n) { return (n < 10 ? "0" : "") + n; };
    var took = function (ms) {
      if (ms < 1e3) { return ms + " ms"; }
      if (ms < 6e4) { return (ms / 1e3).toFixed(1) + " s"; }
      return ms < 36e5 ? Math.floor(ms / 6e4) + " min" : Math.floor(ms / 36e5) + " h";
    };
    var add = function (c) {
      var client = c.client || body.dataset.noname, server = names[c.slug] || body.dataset.gone;
      var how = outcomes[c.status] || outcomes[Math.floor(c.status / 100)] || outcomes[0];
      var text = [client, server, c.tool, c.method, how[1]].join("\n").toLowerCase();
      var fits = words.every(function (w) { return text.indexOf(w) >= 0; });
      if (!fits || (body.dataset.server && body.dataset.server !== c.slug)) { return; }
      var row = document.importNode(blank, true), at = new Date(c.time);
      var put = function (sel, s) { row.querySelector(sel).textContent = s; };
      put("time", two(at.getHours()) + ":" + two(at.getMinutes()) + ":" + two(at.getSeconds()));
      row.querySelector("time").dateTime = c.time;
      put(".what .mono", c.tool || c.method);
      put(".what .hint", c.tool ? c.method : "");
      put(".who", client);
      put(".server", server);
      put(".badge", how[1]);
      row.querySelector(".badge").className = "badge " + how[0];
      put(".took", took(c.ms));
      row.className = "new";
      body.insertBefore(row, body.firstChild);
      body.parentNode.hidden = false;
      var none = document.getElementById("none");
      if (none) { none.remove(); }
      if (body.rows.length <= most) { return; }
      // What leaves the page at its end begins the next one.
      body.lastElementChild.remove();
      var older = document.getElementById("older");
      if (older) {
        var to = new URL(older.href);
        to.searchParams.set("before", body.lastElementChild.querySelector("time").dateTime);
        older.href = to.href;
      }
    };
    var waiting = [];
    new EventSource("/api/events").addEventListener("activity", function (e) {
      var c = JSON.parse(e.data);
      if (!stopped) { add(c); } else if (waiting.push(c) > most) { waiting.shift(); }
    });
    var button = document.getElementById("live");
    button.hidden = false;
    button.addEventListener("click", function () {
      stopped = !stopped;
      button.textContent = stopped ? button.dataset.go : button.dataset.stop;
      if (!stopped) { waiting.splice(0).forEach(add); }
    });
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
