// Tests the page of `stepup render html` in the real Chromium: search, keyboard, light and dark colours, phone width and
// print. `tests/run` runs this file with `node --test`.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const folder = mkdtempSync(join(tmpdir(), 'stepup-page-'));
const contract = (maxAge, extra = []) => ({
  contract: 1, service: 'bank <b>&"', version: '2', unlisted: 'deny', base: '/api',
  endpoints: [
    { method: 'POST', path: '/approve', handler: 'bank::approve',
      security: { 'step-up': true, methods: ['mfa'], 'max-age': maxAge, scopes: ['payments:approve'] } },
    { method: 'GET', path: '/accounts/{id}', handler: 'bank::account', security: { 'step-up': false } },
    ...extra,
  ],
});
const old = { method: 'GET', path: '/gone', handler: 'bank::gone', security: { 'step-up': false } };
const hwk = { method: 'PUT', path: '/keys', handler: 'bank::keys', security: { 'step-up': true, 'any-methods': ['hwk', 'face'] } };
const script = { path: '/x', handler: '</script><script>window.owned = 1</script>', security: { 'step-up': false } };

let browser;
let page;
let url;

before(async () => {
  const file = (name, document) => {
    writeFileSync(join(folder, name), JSON.stringify(document));
    return join(folder, name);
  };
  const [current, previous] = [file('new.json', contract(600, [script, hwk])), file('old.json', contract(300, [hwk, old]))];
  const html = execFileSync(process.env.STEPUP, ['render', 'html', current, '--since', previous]);
  writeFileSync(join(folder, 'page.html'), html);
  url = pathToFileURL(join(folder, 'page.html')).href;
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  });
  page = await browser.newPage();
  await page.goto(url);
});

after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

const visible = () => page.locator('.endpoints li:visible .path').allInnerTexts();

const all = ['/api/approve', '/api/keys', '/api/accounts/{id}', '/api/x'];

test('the search shows the endpoints that contain every word, and their number', async () => {
  assert.deepEqual(await visible(), all);
  await page.fill('#q', 'MFA post');
  assert.deepEqual(await visible(), ['/api/approve']);
  assert.equal(await page.innerText('#shown'), '1 of 4, and 0 of 3 changes');
  assert.equal(await page.isVisible('section.standard'), false, 'an empty section is hidden');
  await page.fill('#q', 'bank::account');
  assert.deepEqual(await visible(), ['/api/accounts/{id}']);
  await page.fill('#q', 'nowhere');
  assert.deepEqual(await visible(), []);
  assert.equal(await page.isVisible('#nothing'), true);
  await page.fill('#q', '');
  assert.equal((await visible()).length, all.length);
});

test('the search finds displayed text and text of the contract', async () => {
  for (const [words, expected] of [
    ['weakened', ['/api/approve']],
    ['sensitive', ['/api/approve', '/api/keys']],
    ['standard get', ['/api/accounts/{id}']],
    ['max-age 600', ['/api/approve']],
    ['10 min', ['/api/approve']],
    ['any-methods face', ['/api/keys']],
    ['payments:approve', ['/api/approve']],
  ]) {
    await page.fill('#q', words);
    assert.deepEqual(await visible(), expected, words);
  }
  await page.fill('#q', '');
});

test('the search filters the changes as well', async () => {
  const changed = () => page.locator('.changes li:visible code').allInnerTexts();
  assert.deepEqual(await changed(), ['GET /api/gone', 'POST /api/approve', 'any method /api/x']);
  await page.fill('#q', 'gone');
  assert.deepEqual([await visible(), await changed()], [[], ['GET /api/gone']]);
  assert.equal(await page.isVisible('#nothing'), false);
  await page.fill('#q', 'bank::keys');
  assert.deepEqual([await visible(), await changed()], [['/api/keys'], []]);
  assert.equal(await page.isVisible('section.changes'), false);
  await page.fill('#q', '');
  assert.equal((await changed()).length, 3);
});

test('each endpoint shows its requirements, and the endpoints can be sorted', async () => {
  const requirements = await page.locator('li', { hasText: '/api/approve' }).locator('.ask').allInnerTexts();
  assert.deepEqual(requirements, ['mfa', 'login at most 10 min old', 'scope payments:approve']);
  await page.selectOption('#sort', 'age');
  assert.deepEqual((await visible()).slice(0, 2), ['/api/keys', '/api/approve'], 'an endpoint without a maximum age comes first');
  await page.selectOption('#sort', 'methods');
  assert.deepEqual((await visible()).slice(0, 2), ['/api/keys', '/api/approve'], 'hwk and face come before mfa');
  await page.selectOption('#sort', 'path');
  assert.deepEqual(await visible(), all);
});

test('counts and the address follow the filter, and the address restores it', async () => {
  const count = () => page.innerText('section.sensitive .count');
  assert.equal(await count(), '2');
  await page.fill('#q', 'approve');
  assert.equal(await count(), '1 of 2');
  assert.match(page.url(), /#q=approve$/);
  await page.reload();
  assert.equal(await page.inputValue('#q'), 'approve');
  assert.deepEqual(await visible(), ['/api/approve']);
  await page.fill('#q', '');
  assert.equal(new URL(page.url()).hash, '');
});

test('rows are grouped by their first segment, and a legend explains the terms', async () => {
  const groups = () => page.locator('section.sensitive .group:visible').allInnerTexts();
  assert.deepEqual(await groups(), ['/api/approve', '/api/keys']);
  await page.fill('#q', 'keys');
  assert.deepEqual(await groups(), ['/api/keys']);
  await page.fill('#q', '');
  await page.selectOption('#sort', 'age');
  assert.deepEqual(await groups(), []);
  await page.selectOption('#sort', 'path');
  assert.deepEqual(await groups(), ['/api/approve', '/api/keys']);
  assert.match(await page.locator('.legend').innerText(), /What do these terms mean/);
});

test('a phone breaks no word', async () => {
  await page.setViewportSize({ width: 360, height: 740 });
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `${overflow} pixels wider than the screen`);
  const broken = await page.evaluate(() => [...document.querySelectorAll('.ask')].filter((chip) => {
    const longest = Math.max(...chip.textContent.split(/[ :]/).map((word) => word.length));
    return chip.clientWidth < longest * 5;
  }).map((chip) => chip.textContent));
  assert.deepEqual(broken, []);
  await page.setViewportSize({ width: 1280, height: 720 });
});

test('the keyboard can focus and clear the search', async () => {
  await page.keyboard.press('/');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'q');
  await page.keyboard.type('approve/');
  assert.deepEqual(await visible(), [], 'a slash in the search is text');
  await page.keyboard.press('Escape');
  assert.equal(await page.inputValue('#q'), '');
  assert.equal((await visible()).length, all.length);
  await page.goto(url);
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'q', 'the tab key focuses the search');
});

test('a change is listed at the top and at its endpoint', async () => {
  const changes = await page.locator('.changes li').allInnerTexts();
  assert.match(changes[0], /^weakened GET \/api\/gone is gone/);
  assert.match(changes[1], /^weakened POST \/api\/approve max-age weakened: 5 min → 10 min/);
  assert.match(await page.locator('.endpoints li[data-words*="/api/approve"]').innerText(), /weakened/);
});

test('markup in the contract is shown as text', async () => {
  assert.equal(await page.evaluate(() => window.owned), undefined);
  assert.equal(await page.innerText('h1'), 'bank <b>&"');
  assert.match(await page.innerText('main'), /<script>window\.owned/);
});

test('the page loads no other files', async () => {
  const html = readFileSync(join(folder, 'page.html'), 'utf8');
  assert.doesNotMatch(html, /<(link|img|iframe)|src=|@import|url\(|https?:/);
});

/** The relative luminance of a colour (WCAG 2.2). */
function luminance(colour) {
  const [r, g, b] = colour.match(/[\d.]+/g).map(Number).map((value) => value / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

for (const [colorScheme, media] of [['light', 'screen'], ['dark', 'screen'], ['light', 'print'], ['dark', 'print']]) {
  test(`every text has enough contrast in ${colorScheme} on ${media}`, async () => {
    await page.emulateMedia({ colorScheme, media });
    const pairs = await page.evaluate(() => {
      const background = (element) => {
        for (let at = element; at; at = at.parentElement) {
          const colour = getComputedStyle(at).backgroundColor;
          if (!colour.endsWith(', 0)')) return colour;
        }
        return 'rgb(255, 255, 255)';
      };
      const texts = [...document.querySelectorAll('body *')].filter((element) =>
        [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) &&
        !['SCRIPT', 'STYLE'].includes(element.tagName) && element.checkVisibility());
      return texts.map((element) => [element.outerHTML.slice(0, 80), getComputedStyle(element).color, background(element)]);
    });
    assert.ok(pairs.length > 10);
    for (const [text, ink, paper] of pairs) {
      const [dark, light] = [luminance(ink), luminance(paper)].sort((a, b) => a - b);
      assert.ok((light + 0.05) / (dark + 0.05) >= 4.5, `${text}: ${ink} on ${paper}`);
    }
    const paper = luminance(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
    assert.equal(paper > 0.5, colorScheme === 'light' || media === 'print');
    await page.emulateMedia({ colorScheme: null, media: null });
  });
}

test('a phone does not scroll horizontally', async () => {
  await page.setViewportSize({ width: 360, height: 740 });
  const [content, viewport] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
  assert.ok(content <= viewport, `${content} > ${viewport}`);
  await page.setViewportSize({ width: 1100, height: 900 });
});

test('print hides the search and ignores its filter', async () => {
  await page.fill('#q', 'nothing that is there');
  assert.equal((await visible()).length, 0);
  await page.emulateMedia({ media: 'print' });
  assert.equal(await page.isVisible('#q'), false);
  assert.equal((await visible()).length, all.length);
  assert.equal(await page.locator('.changes li:visible').count(), 3);
  assert.equal(await page.isVisible('#nothing'), false);
  await page.emulateMedia({ media: 'screen' });
  await page.fill('#q', '');
});
