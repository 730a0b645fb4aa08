"use strict";
// Every page works without this file. It copies, reveals the key while it is
// typed, keeps the choices in step with each other, says that a slow check is
// running, submits the page of the one-time link, adds calls to the table of
// activity as they end, and keeps the home page as things are.
(function () {
  var all = function (sel, f, root) { Array.prototype.forEach.call((root || document).querySelectorAll(sel), f); };
  // As it was served, before anything below changes it.
  var asServed = document.querySelector("[data-parts]") ? document.documentElement.outerHTML : "";

  // What follows may come into the page again, when a part of it is exchanged.
  var liven = [];
  var each = function (sel, f) {
    all(sel, f);
    liven.push(function (root) { all(sel, f, root); });
  };

  // The server cannot know that an address was copied.
  var copied = false, tick = function () {
    all("[data-step=copy].current", function (li) {
      li.className = "done";
      li.removeAttribute("aria-current");
      li.nextElementSibling.className = "current";
    });
  };
  liven.push(function () { if (copied) { tick(); } });

  each("[data-copy]", function (b) {
    if (!navigator.clipboard) { return; }
    b.hidden = false;
    var label = b.textContent;
    b.setAttribute("aria-live", "polite");
    b.addEventListener("click", function () {
      navigator.clipboard.writeText(b.dataset.copy).then(function () {
        b.textContent = b.dataset.done;
        b.classList.add("done");
        copied = true;
        tick();
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
      // The only key of the server is chosen, as where there is one server.
      var own = option.querySelectorAll("input[name=credential]:not([value=new]):not(:disabled)");
      if (own.length === 1 && option.querySelectorAll("input[name=credential]").length === 2) { own[0].checked = true; }
    });
  });

  // A page may be opened under the pointer of a person who is double-clicking
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

  // A request whose page is open is not pushed out by others.
  var keep = document.querySelector("[data-keep]");
  if (keep) {
    var tell = function () { navigator.sendBeacon(keep.dataset.keep); };
    setTimeout(function () { tell(); setInterval(tell, 30000); }, 2000);
  }

  // An address has one line, and Enter sends it.
  all("textarea[data-enter]", function (area) {
    area.addEventListener("keydown", function (e) {
      if (e.key !== "Enter" || e.shiftKey || e.isComposing || /[\s{]/.test(area.value.trim())) { return; }
      e.preventDefault();
      area.form.requestSubmit(area.form.querySelector("button.p"));
    });
  });

  // Trying a key may take seconds: say so, and send the form only once.
  each("form[method=post]", function (form) {
    var sent = false, undo = function () { };
    form.addEventListener("submit", function (e) {
      if (e.defaultPrevented) { return; }
      if (sent) { e.preventDefault(); return; }
      sent = true;
      var b = form.querySelector("button.p[data-busy]");
      if (!b || e.submitter !== b) { return; }
      var label = b.textContent;
      b.setAttribute("aria-live", "polite");
      b.classList.add("busy");
      b.textContent = b.dataset.busy;
      // A server may take its time. The seconds are shown, and not read out.
      var begun = Date.now(), counting = b.dataset.busyLong && setInterval(function () {
        b.removeAttribute("aria-live");
        b.textContent = b.dataset.busyLong.replace("{s}", Math.round((Date.now() - begun) / 1000));
      }, 1000);
      undo = function () { clearInterval(counting); b.textContent = label; b.classList.remove("busy"); };
    });
    window.addEventListener("pageshow", function () { sent = false; undo(); });
  });

  // A page that is not kept as things are must not look as if it were. A program
  // that only restarts is back before that is said.
  var lost = document.querySelector("[data-lost]"), losing = 0;
  var found = function () {
    clearTimeout(losing);
    losing = 0;
    if (lost) { lost.hidden = true; }
  };
  var listen = function () {
    var source = new EventSource("/api/events");
    source.addEventListener("open", found);
    source.addEventListener("error", function () {
      if (lost && !losing) { losing = setTimeout(function () { lost.hidden = false; }, 5000); }
    });
    return source;
  };

  // An open page hears how things stand. Tabs in the background hang
  // up: browsers have six connections for a host, and consent needs one. A page
  // that collects calls keeps its line, and all of a page share one.
  var hearers = [], collectors = [], source = null;
  var tune = function () {
    var wanted = collectors.length || hearers.length && !document.hidden;
    if (source && !wanted) {
      source.close();
      source = null;
      clearTimeout(losing);
      losing = 0;
    } else if (!source && wanted) {
      source = listen();
      source.addEventListener("status", function (e) {
        var status = JSON.parse(e.data);
        hearers.forEach(function (f) { f(status, e.lastEventId); });
      });
      source.addEventListener("activity", function (e) { collectors.forEach(function (f) { f(JSON.parse(e.data)); }); });
    }
  };
  document.addEventListener("visibilitychange", tune);
  var hear = function (f) {
    hearers.push(f);
    tune();
  };

  // The header shows the state of the internet and whether all is paused, and
  // the banner below it what is most urgent. A request that strangers can make
  // moves nothing down.
  all("[data-bar]", function (bar) {
    var last = "", alert = document.querySelector("[data-alert]");
    var put = function (old, fresh) {
      var focused = old.contains(document.activeElement) && document.activeElement.tagName;
      fresh = document.importNode(fresh, true);
      old.parentNode.replaceChild(fresh, old);
      liven.forEach(function (f) { f(fresh); });
      if (focused && fresh.querySelector(focused)) { fresh.querySelector(focused).focus({ preventScroll: true }); }
      return fresh;
    };
    hear(function (status) {
      var net = status.tunnel, now = JSON.stringify([status.paused, status.public_origin, status.internet, status.concerns, net.provider, net.state]);
      if (now === last) { return; }
      last = now;
      fetch("/live/bar", { cache: "no-store" }).then(function (r) { return r.ok ? r.text() : ""; }).then(function (text) {
        var page = new DOMParser().parseFromString(text.slice(text.indexOf("<header"), text.lastIndexOf("<" + "/main")), "text/html");
        var fresh = page.querySelector("[data-bar]"), side = bar.querySelector(".side"), news = page.querySelector("[data-alert]");
        if (!fresh || !side || fresh.dataset.bar === bar.dataset.bar) { return; }
        bar.dataset.bar = fresh.dataset.bar;
        // Only the banner may have changed. Pause then stays under the pointer.
        if (!side.isEqualNode(fresh.querySelector(".side"))) { put(side, fresh.querySelector(".side")); }
        if (alert && news && news.dataset.alert !== "request") { alert = put(alert, news); }
      }).catch(function () { last = ""; }); // the next event tries again
    });
  });

  // typed reports whether something was typed into a field of the page.
  var typed = function () {
    var yes = false;
    all("main input[type=text], main textarea", function (f) { yes = yes || f.value !== f.defaultValue; });
    return yes;
  };

  // The state of the tunnel changes by itself. A page in whose fields nothing
  // was typed shows it as it is now. It may be the answer to a form, which must
  // not be sent again.
  all("[data-watch]", function (badge) {
    hear(function (status) {
      if (status.internet.state !== badge.dataset.watch && !typed()) { location.replace("/tunnel"); }
    });
  });

  // Strangers can ask as often as they like. So a new request opens nothing and
  // moves nothing under the reader's hands: one line says that there is one.
  all("[data-waiting]", function (notice) {
    hear(function (status) { notice.hidden = status.pending.filter(function (q) { return q.asked; }).length <= Number(notice.dataset.waiting); });
  });

  // What is examined, and who tries to connect, changes by itself. A page on
  // which no attempt is unfolded shows it as it is now, with what the reader
  // unfolded of the report. Strangers may try often, so it is left alone for a
  // while unless progress is looked at.
  all("[data-refresh]", function (part) {
    var timer = 0, name = "chosen-folds", begun = {};
    // What the reader folded or unfolded, and not what was served so: a group is
    // served open only while there is something to say of it.
    var chosen = JSON.parse(sessionStorage.getItem(name) || "{}");
    sessionStorage.removeItem(name);
    all("[data-fold]", function (d) {
      var fold = d.dataset.fold;
      if (fold in chosen) { d.open = chosen[fold]; }
      begun[fold] = d.open;
    });
    var again = function () {
      all("[data-fold]", function (d) {
        var fold = d.dataset.fold;
        if (d.open !== begun[fold]) { chosen[fold] = d.open; }
      });
      sessionStorage.setItem(name, JSON.stringify(chosen));
      location.reload();
    };
    var soon = function () {
      timer = setTimeout(function () {
        if (part.querySelector("details[open]:not([data-fold])")) { soon(); } else { again(); }
      }, Number(part.dataset.after));
    };
    hear(function (status, id) {
      if (id !== part.dataset.refresh && !timer) { soon(); }
    });
  });

  // The home page shows what is, not what was when it was opened, and so does
  // the page on which an app is connected. The parts of it that have changed are exchanged for what the server would draw now; what
  // is typed lies in none of them. Only a new request of another device is left
  // to the line above, since strangers can make such.
  all("[data-parts]", function (list) {
    var served = {}, timer = 0, busy = false, again = false;
    var key = function (part) { return part.dataset.part; };
    var note = function (part) { served[key(part)] = part.outerHTML; };
    // read makes a document of the part of a page that matters: its style sheet
    // has another nonce than ours.
    var read = function (html) {
      html = html.slice(html.indexOf("<main"), html.lastIndexOf("<" + "/main"));
      return new DOMParser().parseFromString(html, "text/html");
    };
    all("[data-part]", note, read(asServed));

    var reachable = "a[href], button, summary, pre[tabindex]";
    var signature = function (e) { return [e.tagName, e.getAttribute("href"), e.dataset.copy, e.form && e.form.action, e.name, e.value].join(" "); };
    // exchange puts fresh in the place of old, with the focus where it was and
    // open what was open.
    var exchange = function (old, fresh) {
      var open = {}, before = {}, after = {};
      var name = function (d, seen) { // the same words may fold several things
        var s = d.querySelector("summary").textContent;
        seen[s] = (seen[s] || 0) + 1;
        return s + seen[s];
      };
      all("details", function (d) { open[name(d, before)] = d.open; }, old);
      all("details", function (d) {
        var n = name(d, after);
        if (n in open) { d.open = open[n]; }
      }, fresh);
      var at = old.contains(document.activeElement) ? document.activeElement : null;
      old.parentNode.replaceChild(fresh, old);
      liven.forEach(function (f) { f(fresh); });
      if (!at) { return; }
      var same = Array.prototype.filter.call(fresh.querySelectorAll(reachable), function (e) { return signature(e) === signature(at); });
      if (same.length) { same[0].focus({ preventScroll: true }); }
    };
    var some = function (of, f) { return Array.prototype.some.call(of, f); };
    var strange = function (part) {
      return some(part.querySelectorAll("[data-asked]"), function (e) {
        return !some(list.querySelectorAll("[data-asked]"), function (o) { return o.dataset.asked === e.dataset.asked; });
      });
    };
    var show = function (page) {
      var now = page.querySelector("[data-parts]"), parts = {}, held = false;
      if (!now) { return; } // such as a page that says who may see this one
      if (list.querySelector("[data-part=first]") && !now.querySelector("[data-part=first]")) {
        if (!typed()) { location.replace("/"); } // the first server has come
        return;
      }
      all("[data-part]", function (p) {
        if (strange(p)) { held = true; p.remove(); } else { parts[key(p)] = p; }
      }, page);
      all("[data-part=pending]", function (p) { if (held) { parts.pending = p; } }, list); // as it is
      all("[data-part]", function (old) {
        var fresh = parts[key(old)];
        if (fresh && fresh !== old && fresh.outerHTML !== served[key(old)]) { exchange(old, document.importNode(fresh, true)); }
      });
      Array.prototype.slice.call(list.children).forEach(function (old) { if (!parts[key(old)]) { old.remove(); } });
      if (held && parts.pending) { now.insertBefore(document.createElement("p"), now.firstChild).dataset.part = "pending"; }
      Array.prototype.forEach.call(now.children, function (fresh, i) {
        var here = Array.prototype.filter.call(list.children, function (e) { return key(e) === key(fresh); })[0];
        var is = here || document.importNode(fresh, true);
        if (list.children[i] !== is) { list.insertBefore(is, list.children[i] || null); }
        if (!here) { liven.forEach(function (f) { f(is); }); }
      });
      all("[data-part]", note, page);
      all("[data-waiting]", function (notice) {
        if (held) { return; }
        notice.dataset.waiting = page.querySelector("[data-waiting]").dataset.waiting;
        notice.hidden = true;
      });
    };
    var later = function (ms) {
      clearTimeout(timer);
      timer = setTimeout(load, ms);
    };
    var load = function () {
      if (busy) { again = true; return; }
      // A button must not go away from under the pointer that presses it.
      if (document.querySelector("[data-part] :active")) { later(300); return; }
      busy = true;
      fetch("/live" + list.dataset.parts.replace(/^\/(?=\?|$)/, ""), { cache: "no-store" }).then(function (r) { return r.ok ? r.text() : ""; }).then(function (text) {
        if (text) { show(read(text)); }
      }).catch(function () { }).then(function () { // the next event tries again
        busy = false;
        if (again) { again = false; later(100); }
      });
    };
    hear(function () { later(50); });
    // A look of an app at an address is not announced, since strangers look too.
    if (list.dataset.every) {
      setInterval(function () { if (!document.hidden) { load(); } }, Number(list.dataset.every));
    }
  });

  // Calls that end while the page is open come in at the top of the table, if
  // they are what was searched for.
  all("[data-live]", function (body) {
    var names = JSON.parse(body.dataset.servers), outcomes = JSON.parse(body.dataset.outcomes), notes = JSON.parse(body.dataset.notes);
    var work = JSON.parse(body.dataset.work), show = body.dataset.show;
    var words = body.dataset.query.toLowerCase().split(/\s+/).filter(Boolean);
    var blank = document.getElementById("call").content.querySelector("tr");
    var stopped = false, most = 500;
    var two = function (n) { return (n < 10 ? "0" : "") + n; };
    var took = function (ms) {
      if (ms < 1e3) { return ms + " ms"; }
      if (ms < 6e4) { return (ms / 1e3).toFixed(1) + " s"; }
      return ms < 36e5 ? Math.floor(ms / 6e4) + " min" : Math.floor(ms / 36e5) + " h";
    };
    // mark draws the monogram of a name as the server does.
    var mark = function (mg, name) {
      var letter = name.match(/[\p{L}\p{Nd}]/u), sum = 0;
      new TextEncoder().encode(name.toLowerCase()).forEach(function (b) { sum = (sum * 31 + b) % 6007; });
      mg.textContent = letter ? letter[0].toUpperCase() : "?";
      mg.className = "mg sm m" + (sum % 6 + 1);
    };
    var add = function (c) {
      var client = c.app || body.dataset.noname, server = names[c.slug] || body.dataset.gone;
      var how = outcomes[c.status] || outcomes[Math.floor(c.status / 100)] || outcomes[0];
      var note = notes[c.note] || "", refused = how[0] === "warn" || how[0] === "err";
      var text = [client, server, c.tool, c.method, note, how[1], c.struck ? body.dataset.struck : ""].join("\n").toLowerCase();
      var fits = words.every(function (w) { return text.indexOf(w) >= 0; });
      if (!fits || (body.dataset.server && body.dataset.server !== c.slug) || (body.dataset.app && body.dataset.app !== c.app)) { return; }
      var protocol = !c.tool && work.indexOf(c.method) < 0 && !refused && !c.struck;
      if (show === "refused" ? !refused : show === "keys" ? !c.struck : show !== "all" && protocol) { return; }
      var row = document.importNode(blank, true), at = new Date(c.time);
      var put = function (sel, s) { row.querySelector(sel).textContent = s; };
      put("time", two(at.getHours()) + ":" + two(at.getMinutes()));
      row.querySelector("time").dateTime = c.time;
      put(".what .mono", c.tool || c.method);
      put(".claims", note);
      row.querySelector(".claims").hidden = !note;
      put(".client", client);
      mark(row.querySelector(".mg"), client);
      put(".server", server);
      put(".outcome", how[1]);
      row.querySelector(".dot").className = ("dot " + how[0]).trim();
      row.querySelector(".struck").hidden = !c.struck;
      put(".took", took(c.ms));
      row.className = "new";
      body.insertBefore(row, body.firstChild);
      body.closest("section").hidden = false;
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
    collectors.push(function (c) {
      if (!stopped) { add(c); } else if (waiting.push(c) > most) { waiting.shift(); }
    });
    tune();
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
