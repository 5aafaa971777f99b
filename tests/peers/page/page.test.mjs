// The page of `stepup render html` in the real Chromium: its search, its keyboard, its looks in light and dark, at
// phone width and on paper. `tests/run` runs this with `node --test`.
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
  const [now, then] = [file('new.json', contract(600, [script, hwk])), file('old.json', contract(300, [hwk, old]))];
  const html = execFileSync(process.env.STEPUP, ['render', 'html', now, '--since', then]);
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

test('the search narrows to what has every word, and says how many', async () => {
  assert.deepEqual(await visible(), all);
  await page.fill('#q', 'MFA post');
  assert.deepEqual(await visible(), ['/api/approve']);
  assert.equal(await page.innerText('#shown'), '1 of 4, and 0 of 3 changes');
  assert.equal(await page.isVisible('section.standard'), false, 'a section without a row is gone');
  await page.fill('#q', 'bank::account');
  assert.deepEqual(await visible(), ['/api/accounts/{id}']);
  await page.fill('#q', 'nowhere');
  assert.deepEqual(await visible(), []);
  assert.equal(await page.isVisible('#nothing'), true);
  await page.fill('#q', '');
  assert.equal((await visible()).length, all.length);
});

test('the search knows what is seen and what the contract says', async () => {
  for (const [words, found] of [
    ['weakened', ['/api/approve']],
    ['sensitive', ['/api/approve', '/api/keys']],
    ['standard get', ['/api/accounts/{id}']],
    ['max-age 600', ['/api/approve']],
    ['10 min', ['/api/approve']],
    ['any-methods face', ['/api/keys']],
    ['payments:approve', ['/api/approve']],
  ]) {
    await page.fill('#q', words);
    assert.deepEqual(await visible(), found, words);
  }
  await page.fill('#q', '');
});

test('the search narrows what has changed as well', async () => {
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

test('each endpoint shows what it asks, and they are in the order that is asked for', async () => {
  const asks = await page.locator('li', { hasText: '/api/approve' }).locator('.ask').allInnerTexts();
  assert.deepEqual(asks, ['mfa', 'login at most 10 min old', 'scope payments:approve']);
  await page.selectOption('#sort', 'age');
  assert.deepEqual((await visible()).slice(0, 2), ['/api/keys', '/api/approve'], 'any age is the oldest');
  await page.selectOption('#sort', 'methods');
  assert.deepEqual((await visible()).slice(0, 2), ['/api/keys', '/api/approve'], 'hwk, face before mfa');
  await page.selectOption('#sort', 'path');
  assert.deepEqual(await visible(), all);
});

test('the keyboard reaches the search and leaves it', async () => {
  await page.keyboard.press('/');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'q');
  await page.keyboard.type('approve/');
  assert.deepEqual(await visible(), [], 'a slash is a letter there');
  await page.keyboard.press('Escape');
  assert.equal(await page.inputValue('#q'), '');
  assert.equal((await visible()).length, all.length);
  await page.goto(url);
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'q', 'by the tab key as well');
});

test('what has changed stands above everything and at its endpoint', async () => {
  const changes = await page.locator('.changes li').allInnerTexts();
  assert.match(changes[0], /^weakened GET \/api\/gone is gone/);
  assert.match(changes[1], /^weakened POST \/api\/approve max-age weakened: 300 → 600/);
  assert.match(await page.locator('.endpoints li[data-words*="/api/approve"]').innerText(), /weakened/);
});

test('text of the contract is text, whatever stands in it', async () => {
  assert.equal(await page.evaluate(() => window.owned), undefined);
  assert.equal(await page.innerText('h1'), 'bank <b>&"');
  assert.match(await page.innerText('main'), /<script>window\.owned/);
});

test('the page needs nothing beside it', async () => {
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
  test(`every text can be read in ${colorScheme} on ${media}`, async () => {
    await page.emulateMedia({ colorScheme, media });
    const pairs = await page.evaluate(() => {
      const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
          const colour = getComputedStyle(at).backgroundColor;
          if (!colour.endsWith(', 0)')) return colour;
        }
        return 'rgb(255, 255, 255)';
      };
      const texts = [...document.querySelectorAll('body *')].filter((element) =>
        [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) &&
        !['SCRIPT', 'STYLE'].includes(element.tagName) && element.checkVisibility());
      return texts.map((element) => [element.outerHTML.slice(0, 80), getComputedStyle(element).color, behind(element)]);
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

test('a phone need not scroll sideways', async () => {
  await page.setViewportSize({ width: 360, height: 740 });
  const [inner, outer] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
  assert.ok(inner <= outer, `${inner} > ${outer}`);
  await page.setViewportSize({ width: 1100, height: 900 });
});

test('on paper there is no search, and nothing is left out by one', async () => {
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
