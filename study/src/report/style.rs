//! Style of the page, on screen and on paper.

/// The style sheet.
pub(super) const SHEET: &str = "
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 32px 24px 64px; max-width: 1040px; background: #fff; color: #1f2328;
  font: 15px/1.5 system-ui, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif; }
h1 { font-size: 27px; line-height: 1.25; margin: 0 0 16px; }
h2 { font-size: 21px; margin: 44px 0 10px; padding-top: 10px; border-top: 2px solid #d0d7de; }
h3 { font-size: 17px; margin: 30px 0 8px; }
h4 { font-size: 15px; margin: 22px 0 6px; }
p { max-width: 76ch; margin: 8px 0; }
a { color: #0550ae; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 3px 18px; margin: 0; }
dt { font-weight: 600; }
dd { margin: 0; }
nav h2 { font-size: 17px; border: 0; margin: 26px 0 4px; padding: 0; }
nav ol { margin: 0; padding-left: 22px; }
figure { margin: 18px 0 26px; break-inside: avoid; }
figcaption, caption { color: #424a53; font-size: 13.5px; line-height: 1.45; text-align: left; max-width: 92ch; }
figcaption { margin-top: 6px; }
caption { padding-bottom: 5px; }
.scroll { overflow-x: auto; }
.scroll > svg { display: block; max-width: 100%; height: auto; }
table { border-collapse: collapse; font-size: 13.5px; margin: 14px 0 20px; font-variant-numeric: tabular-nums; break-inside: avoid; }
th, td { padding: 3px 11px; text-align: right; border-bottom: 1px solid #e4e6ea; white-space: nowrap; }
thead th { border-bottom: 1.5px solid #8c959f; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; padding-left: 2px; }
thead th { white-space: normal; }
thead th[colspan] { text-align: center; }
thead tr + tr th:first-child { text-align: right; padding-left: 11px; }
tr.means td { border-top: 1px solid #8c959f; }
tr.means ~ tr.means td { border-top: 0; }
td.best { font-weight: 700; }
th.words, td.words { text-align: left; white-space: normal; }
.foreign { color: #6e4a00; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(460px, 1fr)); gap: 4px 28px; break-inside: avoid; }
.pair h5 { font-size: 13.5px; margin: 8px 0 0; color: #424a53; }
.pair table { font-size: 12.5px; }
.pair th, .pair td { padding: 1px 8px; }
@media print {
  body { max-width: none; padding: 0; font-size: 11pt; }
  h2 { break-before: page; }
  nav h2 { break-before: auto; }
  h2, h3, h4 { break-after: avoid; }
  .scroll { overflow: visible; }
}
";
