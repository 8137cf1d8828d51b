'use strict'
const data = JSON.parse(document.getElementById('data').textContent)
const faces = Object.entries(data.faces).flatMap(([dataset, some]) => some.map(face => ({...face, dataset})))
const PAGE = 24

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
  'class': className,
  'set': face => face.split ?? 'none',
  'detector': face => face.detector ?? 'none',
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
    said.textContent = `${some.length} of the ${mine.length} faces ${doubtful ? 'in doubt that this page has' : 'that this page has of the dataset'}`
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

document.querySelectorAll('.sheet').forEach(sheet)
document.querySelectorAll('button.cell').forEach(button => button.addEventListener('click', () => showCell(button)))
document.querySelectorAll('dialog').forEach(dialog =>
  dialog.querySelector('.close').addEventListener('click', () => dialog.close()))
