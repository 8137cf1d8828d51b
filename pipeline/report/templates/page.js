'use strict'
const data = JSON.parse(document.getElementById('data').textContent)
const faces = Object.entries(data.faces).flatMap(([dataset, some]) => some.map(face => ({...face, dataset})))
const PAGE = 24
const REACH = 8 // of a click, in units of the map

// Of each dataset, because cameras differ.
for (const dataset of Object.keys(data.faces)) {
  const mine = faces.filter(face => face.dataset === dataset && face.sharpness !== undefined)
  const sorted = mine.map(face => face.sharpness).sort((a, b) => a - b)
  const [low, high] = [0.25, 0.75].map(share => sorted[Math.floor(share * sorted.length)])
  for (const face of mine)
    face.blur = face.sharpness < low ? 'most blurred quarter' : face.sharpness > high ? 'sharpest quarter' : 'middle half'
}

// Everything is set as text or as an attribute, never as HTML: names and labels are others' words.
function make(tag, attributes, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  element.append(...children)
  return element
}

const className = face => face.label === undefined ? 'no class' : data.classes[face.label]

function facts(face) {
  const known = [['class', className(face)], ['dataset', face.dataset], ['sample', face.sample_id], ['set', face.split]]
  if (face.predicted !== undefined) known.push(['answer', `${data.classes[face.predicted]}, ${face.confidence} sure`])
  known.push(['detector', face.detector], ['score of the face', face.face_score], ['sharpness', face.sharpness])
  if (face.doubt !== undefined) known.push(['doubt', `${face.doubt}, ${face.reason}`])
  if (face.suggested !== undefined) known.push(['likelier', data.classes[face.suggested]])
  return known.filter(([, value]) => value !== undefined)
}

function showFace(face) {
  document.getElementById('face-picture').src = face.picture
  document.getElementById('face-facts').replaceChildren(
    ...facts(face).flatMap(([name, value]) => [make('dt', {}, name), make('dd', {}, String(value))]))
  document.getElementById('face').showModal()
}

function tile(face) {
  const lines = [make('span', {class: 'name'}, className(face))]
  if (face.predicted !== undefined && face.predicted !== face.label)
    lines.push(make('span', {class: 'wrong'}, `not ${data.classes[face.predicted]}`))
  if (face.doubt >= 0.5) lines.push(make('span', {class: 'doubt'}, `doubt ${face.doubt.toFixed(2)}`))
  const picture = make('img', {src: face.picture, alt: '', loading: 'lazy', width: 112, height: 112})
  const button = make('button', {type: 'button', class: 'tile', title: face.sample_id}, picture, ...lines)
  button.addEventListener('click', () => showFace(face))
  return make('li', {}, button)
}

// A few faces, and a button for more, so that a page of thousands opens at once.
function fill(box, some) {
  const list = make('ul', {class: 'tiles'})
  const more = make('button', {type: 'button', class: 'more'}, 'Show more')
  let shown = 0
  const next = () => {
    const added = some.slice(shown, shown + PAGE).map(tile)
    list.append(...added)
    if (shown) added[0].querySelector('button').focus()
    shown += added.length
    more.hidden = shown >= some.length
  }
  more.addEventListener('click', next)
  next()
  box.replaceChildren(list, more)
}

const ORDERS = {
  'sample': () => 0,
  'least sure face first': (a, b) => a.face_score - b.face_score,
  'most blurred first': (a, b) => a.sharpness - b.sharpness,
  'surest answer first': (a, b) => (b.confidence ?? -1) - (a.confidence ?? -1),
  'most doubtful first': (a, b) => (b.doubt ?? -1) - (a.doubt ?? -1),
}
const NEEDS = {'most blurred first': 'sharpness', 'surest answer first': 'confidence', 'most doubtful first': 'doubt'}
const FILTERS = {
  'dataset': face => face.dataset,
  'class': className,
  'set': face => face.split ?? 'none',
  'detector': face => face.detector ?? 'none',
  'sharpness': face => face.blur ?? 'none',
  'answer': face => face.predicted === undefined ? 'none' : face.predicted === face.label ? 'right' : 'wrong',
  'doubt': face => face.doubt >= 0.5 ? face.reason : 'none',
}

function sheet(box, number) {
  const doubtful = 'doubtful' in box.dataset
  const mine = faces.filter(face => doubtful ? face.doubt >= 0.5 : face.dataset === box.dataset.dataset)
  const choices = {}
  const controls = make('div', {class: 'controls', role: 'group', 'aria-label': 'Which faces'})
  const add = (name, title, options) => {
    const select = make('select', {id: `sheet-${number}-${name}`}, ...options.map(text => make('option', {}, text)))
    select.addEventListener('change', update)
    choices[name] = select
    controls.append(make('label', {for: select.id}, title, select))
  }
  for (const [name, value] of Object.entries(FILTERS)) {
    const values = [...new Set(mine.map(value))]
    if (values.length > 1) add(name, name, ['all', ...values.sort()])
  }
  const known = name => !NEEDS[name] || mine.some(face => face[NEEDS[name]] !== undefined)
  add('order', 'sorted by', Object.keys(ORDERS).filter(known))
  if (doubtful) choices.order.value = 'most doubtful first'
  const said = make('p', {class: 'hint', role: 'status'})
  const inside = make('div', {})
  function update() {
    const all = (name, select) => name === 'order' || select.selectedIndex === 0
    const some = mine.filter(face => Object.entries(choices).every(
      ([name, select]) => all(name, select) || FILTERS[name](face) === select.value))
    const used = data.used[box.dataset.dataset]
    said.textContent = `${some.length} of the ${mine.length} faces ${doubtful ? 'in doubt ' : ''}that this page has` +
      (used > mine.length ? `; the dataset has ${used.toLocaleString('en')}` : '')
    fill(inside, some.sort(ORDERS[choices.order.value]))
  }
  box.replaceChildren(controls, said, inside)
  update()
}

function showCell(button) {
  const {actual, answer, count} = button.dataset
  const some = faces.filter(face => face.label === Number(actual) && face.predicted === Number(answer))
    .sort((a, b) => b.confidence - a.confidence)
  document.getElementById('cell-title').textContent =
    `${data.classes[actual]}, answered ${data.classes[answer]}: ${count}` + (some.length < count ? `, ${some.length} shown` : '')
  const box = document.getElementById('cell-faces')
  if (some.length) fill(box, some)
  else box.replaceChildren(make('p', {}, 'None of them is shown: the terms of their datasets do not allow it.'))
  document.getElementById('cell').showModal()
}

// One stop of the Tab key. Arrows go to the nearest face in their direction, within 45 degrees where there is one.
function map(svg) {
  const said = document.getElementById('map-said'), ring = svg.querySelector('.here')
  const margin = Number(svg.dataset.margin), side = svg.viewBox.baseVal.width - 2 * margin
  const points = faces.filter(face => face.map_x !== undefined)
    .map(face => ({face, x: margin + face.map_x * side, y: margin + face.map_y * side}))
    .sort((a, b) => (b.face.doubt ?? 0) - (a.face.doubt ?? 0))
  if (!points.length) return
  let here = null
  const nearest = (some, x, y) => some.reduce((best, point) =>
    best && Math.hypot(best.x - x, best.y - y) <= Math.hypot(point.x - x, point.y - y) ? best : point, null)
  const go = point => {
    here = point
    ring.setAttribute('cx', here.x)
    ring.setAttribute('cy', here.y)
    ring.setAttribute('visibility', 'visible')
    said.textContent = `${className(here.face)}, ${here.face.dataset}` + (here.face.doubt >= 0.5 ? `, doubt ${here.face.doubt.toFixed(2)}` : '')
  }
  const ahead = (x, y) => {
    const some = points.map(point => ({point, on: (point.x - here.x) * x + (point.y - here.y) * y, off: Math.abs((point.x - here.x) * y - (point.y - here.y) * x)}))
      .filter(({on}) => on > 0)
    const close = some.filter(({on, off}) => off <= on)
    return nearest((close.length ? close : some).map(({point}) => point), here.x, here.y) ?? here
  }
  const step = by => points[(points.indexOf(here) + by + points.length) % points.length]
  const keys = {
    ArrowLeft: () => ahead(-1, 0), ArrowRight: () => ahead(1, 0), ArrowUp: () => ahead(0, -1), ArrowDown: () => ahead(0, 1),
    PageUp: () => step(-1), PageDown: () => step(1),
  }
  svg.setAttribute('role', 'application')
  svg.setAttribute('tabindex', 0)
  svg.setAttribute('aria-roledescription', 'map')
  svg.setAttribute('aria-describedby', said.id)
  said.textContent = `${points.length} faces: click one, or go from one to the next with the arrow keys, Page Up and Page Down, and press Enter.`
  svg.addEventListener('keydown', event => {
    if (event.key in keys) go(here ? keys[event.key]() : points[0])
    else if (event.key === 'Enter' && here) showFace(here.face)
    else return
    event.preventDefault()
  })
  svg.addEventListener('click', event => {
    const {x, y} = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse())
    const point = nearest(points, x, y)
    if (Math.hypot(point.x - x, point.y - y) > REACH) return
    go(point)
    showFace(point.face)
  })
}

document.querySelectorAll('.sheet').forEach(sheet)
document.querySelectorAll('.map svg').forEach(map)
document.querySelectorAll('button.cell').forEach(button => button.addEventListener('click', () => showCell(button)))
document.querySelectorAll('dialog').forEach(dialog =>
  dialog.querySelector('.close').addEventListener('click', () => dialog.close()))
