"""Style sheet and script of the atlas page: wide table, phone, dark, print; without the script all is on show."""

from __future__ import annotations

from .palette import DARK, FONT, LIGHT, figure_css, variables

_BASE = """
*{box-sizing:border-box}html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--plate);color:var(--ink);font:13px/1.45 FONT;font-feature-settings:"tnum",
"calt" 0}main{max-width:1440px;margin:0 auto;padding:44px 64px 56px}
h1{font-size:30px;font-weight:650;letter-spacing:-.02em;line-height:1.2;margin:0 0 8px;text-wrap:balance}
h2{font-size:22px;font-weight:650;letter-spacing:-.015em;line-height:1.25;margin:0 0 4px;text-wrap:balance}
h3{font-size:14px;font-weight:600;margin:0}p{margin:0}i{font-style:italic}
b{font-weight:600;color:var(--ink)}sub,sup{font-size:.76em;line-height:0}
a{color:var(--can);font-weight:600;text-decoration:none}a:hover{text-decoration:underline}
a:focus-visible,.cell:focus-visible{outline:2px solid var(--ink);outline-offset:2px}
.sub{font-size:15px;line-height:1.5;color:var(--ink2);max-width:48em}
header{display:flex;justify-content:space-between;gap:48px;align-items:flex-start;margin-bottom:20px}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.key{margin:0;flex:0 0 344px;font-size:12px;color:var(--ink2)}.key .strip{width:100%;height:12px}
.key .words{display:flex;justify-content:space-between;font-weight:600;margin:8px 0 3px}
.key .marks{display:flex;justify-content:space-between;color:var(--ink2);margin-top:4px}
.key .marks>span{width:0;display:flex;justify-content:center;white-space:nowrap}
.key .marks>span:first-child{justify-content:start}.key .marks>span:last-child{justify-content:end}
.strip{display:flex;align-items:center;gap:1.5px;width:120px;max-width:100%;height:8px;margin-top:5px}
.strip span{flex:1;height:100%}.strip .no{background:var(--block)}.strip .yes{background:var(--can)}
.strip .gap{height:1.5px;background:var(--open)}
.strip .if{border:1px solid var(--block);background:repeating-linear-gradient(135deg,var(--block) 0 1.3px,
transparent 1.3px 4.5px)}table{border-collapse:collapse;width:100%;text-align:left}
th{font-weight:400;vertical-align:bottom}td{padding:0}.atlas{table-layout:fixed}
.atlas thead th{padding:6px 12px 10px 0;border-bottom:1.5px solid var(--ink);font-size:14px}
.atlas thead th:first-child{width:248px}
.gloss{display:block;font-size:12px;color:var(--ink3);font-weight:400}
thead .long,.name{display:block;font-weight:600;font-size:14px}.short{display:none}
.group th{padding:14px 0 5px;font-size:12px;font-weight:600;color:var(--ink3);
border-bottom:1px solid var(--hair)}
.task>*{border-bottom:1px solid var(--row);height:45px;vertical-align:middle}
.task th{padding:4px 12px 4px 0;line-height:1.3}
.cell{display:block;width:calc(100% - 12px);margin:0 0 0 -10px;padding:4px 10px 5px;border:0;
border-radius:4px;background:none;font:inherit;text-align:left;cursor:pointer;outline-offset:-2px!important}
.cell:hover{background:var(--panel)}.js .cell[aria-expanded=true]{box-shadow:inset 0 0 0 2px var(--ink)}
.can{color:var(--can)}.needs,.cannot{color:var(--cannot)}.unknown{color:var(--ink3)}b.w{color:inherit}
.x{color:var(--ink);margin-left:1px}.unknown .x{color:inherit}.few .strip{width:160px}
.foot .tick{margin:0 5px 0 0}
.tick{width:12px;height:12px;margin-left:6px;vertical-align:-1px;fill:none;stroke:currentColor;stroke-width:2}
.deep a{color:var(--ink)}.circuits td{font-size:13px}.circuits .why{color:var(--ink3);text-align:left!important}
.more{display:none}.proofs{padding-top:18px;min-height:72px}.js .proof:not(.on){display:none}
.proof{display:grid;grid-template-columns:248px minmax(0,1fr) auto;padding:6px 0;font-size:14px;
line-height:1.5;color:var(--ink2)}.proof p{max-width:60em;padding-right:24px}.proof .say{color:var(--ink)}
.links a{margin-left:22px;white-space:nowrap}
.foot{font-size:12px;color:var(--ink3);margin-top:10px;line-height:1.6;max-width:100em}
section.figure{margin-top:64px;scroll-margin-top:16px}section.figure>.sub{margin-bottom:18px;max-width:72em}
.plot svg{width:100%;height:auto}.narrow{display:none}.scroll{overflow-x:auto}
.scroll svg{height:auto;max-width:100%}.facts{display:none}
.certs td,.certs th{padding:8px 16px 8px 0;border-bottom:1px solid var(--row);vertical-align:top}
.certs thead th{color:var(--ink3);font-size:12px;border-color:var(--hair)}
.certs td:last-child,.certs th:last-child{text-align:right;padding-right:0}
.certs .num{text-align:right;white-space:nowrap}.certs{margin-top:14px}
summary{cursor:pointer;color:var(--can);font-weight:600;padding:8px 0}.said{margin-top:28px}
.certs.said td{font-size:13px}.said td:first-child{width:248px;font-weight:600}.certs.said td:last-child{
color:var(--ink3);text-align:left;width:30%}.certs.said th:last-child{text-align:left}
@media(max-width:1360px){main{padding:36px 32px 44px}}
@media(max-width:1080px){
.key{flex-basis:290px}.atlas thead th:first-child{width:160px}
.proof{grid-template-columns:160px minmax(0,1fr) auto}.plot.wide{display:none}
.plot.narrow{display:block;max-width:480px}
}
@media(max-width:900px){
header{display:block}
.key{margin-top:14px;max-width:344px}.many .cell .long,.many .gloss{display:none}
.many .cell .short{display:block;font-size:13px}.many thead th{padding-right:6px;font-size:13px}}
@media(max-width:600px){
main{padding:22px 16px 32px}h1{font-size:22px}h2{font-size:19px}.sub{font-size:14px}body{font-size:14px}
.key{font-size:13px}.key .cap,.key .strip,.key .marks{display:none}
.key .words{justify-content:flex-start;gap:18px}
.key .words span::before{content:"";display:inline-block;width:22px;height:7px;margin-right:7px;
vertical-align:1px;background:currentColor}.key .words .cannot::before{background:var(--block)}
.key .words .unknown::before{height:1.5px;vertical-align:4px;background:var(--open)}
.atlas thead th{height:92px;padding:0 0 8px;position:relative}.atlas thead th:first-child{width:27%}
thead .gloss,.task .gloss,.long{display:none!important}
thead .short{display:block;position:absolute;left:8px;bottom:8px;transform:rotate(-48deg);
transform-origin:0 100%;white-space:nowrap;font-weight:600;font-size:12px}.few thead th{height:auto}
.few thead .short{position:static;transform:none;white-space:normal;font-size:12.5px;line-height:1.25;
padding-right:6px}.task>*{height:46px}.task th{padding-right:6px}
.cell{width:calc(100% - 2px);margin-left:-5px;padding:5px;min-height:44px;font-size:12px}
.cell .short{display:block;white-space:nowrap;font-size:12px}.cell .strip{width:100%;margin-top:4px}
.many .cell .short{font-size:11.5px}.js .more.open{display:table-row}
.more td{background:var(--panel);padding:12px 0;border-top:1px solid var(--hair);
border-bottom:1px solid var(--hair);box-shadow:-16px 0 var(--panel),16px 0 var(--panel)}
.more li{display:flex;flex-wrap:wrap;gap:0 10px;padding:6px 0;justify-content:space-between}
.more ul{list-style:none;margin:0;padding:0}.more .who{flex:0 0 38%}.more .what{flex:1 1 auto}
.more .from{color:var(--ink3);font-size:12px;align-self:center}
.more .from.own{flex:1 0 100%;padding-left:calc(38% + 10px)}.js .proofs{display:none}
.proof,.more .slot{display:block;font-size:14px}.proof{padding:10px 0}
.more .slot{padding-top:8px;color:var(--ink2)}.more h3{display:none}.links{margin-top:8px}
.links a{margin:0 22px 0 0}.facts{display:grid;grid-template-columns:1fr auto;margin:0 0 16px}
.facts dt,.facts dd{padding:5px 0;margin:0;border-bottom:1px solid var(--row)}.facts dt{color:var(--ink2)}
.facts dd{font-weight:600;text-align:right}
.certs,.certs tbody,.certs tr,.certs td{display:block;border:0;padding:1px 0}.certs thead{display:none}
.certs tr{padding:9px 0;border-bottom:1px solid var(--row)}.certs td:last-child,.certs .num{text-align:left}
.certs td+td{display:inline-block;margin-right:18px}.certs.said td,.certs.said td:last-child{width:auto;display:block}
section.figure{margin-top:44px}}
@media print{
main{padding:0;max-width:none}.js .proof:not(.on){display:grid}
.js .cell[aria-expanded=true]{box-shadow:none}.js .proofs{display:block}.more{display:none!important}
section.figure{break-inside:avoid}.plot.narrow{display:none}.plot.wide{display:block}
.scroll,.plot{overflow:visible}.scroll svg,.plot.wide svg{min-width:0!important;width:100%}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
""".replace("FONT", FONT)

SCRIPT = """
(function () {
  var d = document, cells = Array.from(d.querySelectorAll('.cell')), phone = matchMedia('(max-width:600px)');
  d.documentElement.classList.add('js');
  function show(cell, touched) {
    var proof = d.getElementById(cell.getAttribute('aria-controls'));
    var more = cell.closest('tr').nextElementSibling;
    var shut = touched && phone.matches && cell.getAttribute('aria-expanded') === 'true'
      && more.classList.contains('open');
    cells.forEach(function (c) { c.setAttribute('aria-expanded', 'false'); });
    d.querySelectorAll('.proof.on,.more.open').forEach(function (e) { e.classList.remove('on', 'open'); });
    if (shut) return;
    cell.setAttribute('aria-expanded', 'true');
    proof.classList.add('on');
    if (!touched) return;
    more.querySelector('.slot').innerHTML = proof.innerHTML;
    more.classList.add('open');
  }
  function neighbour(td, key) {
    if (key === 'ArrowLeft') return td.previousElementSibling;
    if (key === 'ArrowRight') return td.nextElementSibling;
    var rows = Array.from(d.querySelectorAll('tr.task'));
    var row = rows[rows.indexOf(td.parentNode) + (key === 'ArrowUp' ? -1 : 1)];
    return row && row.children[td.cellIndex];
  }
  cells.forEach(function (cell) {
    cell.addEventListener('click', function () { show(cell, true); });
    cell.addEventListener('keydown', function (e) {
      if (!/^Arrow(Left|Right|Up|Down)$/.test(e.key)) return;
      var td = neighbour(cell.parentNode, e.key), to = td && td.querySelector('.cell');
      e.preventDefault();
      if (to) { to.focus(); if (!phone.matches) show(to, true); }
    });
  });
  var first = d.querySelector('.cell[data-first]');
  if (first && !phone.matches) show(first, false);
})();
"""


def page_css() -> str:
    """The whole style sheet: colours of both themes, the page, and the figures in it."""
    light, dark = f":root{{{variables(LIGHT)}}}", f":root{{{variables(DARK)}}}"
    themes = f"{light}\n@media screen and (prefers-color-scheme:dark){{{dark}}}"
    return f"{themes}\n{figure_css(False)}\n{_BASE.strip()}"
