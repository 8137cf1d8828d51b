// The page of `prep review`. Pictures of the next samples are fetched ahead and kept in memory only; a decision is shown as
// saved once the server has it on the disk.
'use strict'

const AHEAD = 6
const SVG = 'http://www.w3.org/2000/svg'
const KEYS = {r: 'right', x: 'not_a_face', b: 'bad_picture', u: 'unsure'}
const at = id => document.getElementById(id)
const items = new Map()
let start = {}, here = 0, shown = null, chosen = 0, pointing = null, waiting = Promise.resolve(), unsaved = 0, closed = false

const blobOf = async path => {
  const answer = await fetch(path)
  return answer.ok ? URL.createObjectURL(await answer.blob()) : null
}

const decoded = async path => {
  const address = await blobOf(path)
  if (address === null) return null
  const image = new Image()
  image.src = address
  await image.decode().catch(() => {})
  return image
}

// One sample with all its pictures, decoded; asked for once.
const load = number => {
  if (number < 0 || number >= start.all) return null
  if (!items.has(number)) items.set(number, (async () => {
    const answer = await fetch(`item/${number}`)
    const item = await answer.json()
    if (!answer.ok) throw new Error(item.error)
    const [crop, whole, ...others] = await Promise.all([
      decoded(`crop/${number}`), item.size ? decoded(`picture/${number}`) : null,
      ...item.neighbours.map((_, place) => decoded(`crop/${number}/${place}`)),
    ])
    return {...item, crop, whole, others}
  })())
  return items.get(number)
}

const forget = () => {
  for (const [number, promise] of items) {
    if (Math.abs(number - here) <= AHEAD) continue
    items.delete(number)
    promise.then(item => [item.crop, item.whole, ...item.others].forEach(image => image && URL.revokeObjectURL(image.src)), () => {})
  }
}

const drawn = (name, given) => {
  const element = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(given)) element.setAttribute(key, value)
  return element
}

const drawFace = item => {
  const [width, height] = item.size ?? [1, 1]
  at('picture').setAttribute('viewBox', `0 0 ${width} ${height}`)
  at('photo').setAttribute('width', width)
  at('photo').setAttribute('height', height)
  if (item.whole) at('photo').setAttribute('href', item.whole.src)
  else at('photo').removeAttribute('href')
  const [x0, y0, x1, y1] = item.face?.box ?? [0, 0, 0, 0]
  for (const [key, value] of Object.entries({x: x0, y: y0, width: x1 - x0, height: y1 - y0})) at('box').setAttribute(key, value)
  const points = item.face?.points ?? []
  at('points').replaceChildren(...points.filter((_, place) => place % 2 === 0).map((x, place) =>
    drawn('circle', {cx: x, cy: points[2 * place + 1], r: Math.max(width, height) / 200})))
}

const drawAim = () => {
  const [width, height] = shown.size ?? [1, 1]
  at('whole').classList.toggle('pointing', pointing !== null)
  at('told').textContent = pointing === null ? (shown.whole ? 'the whole picture, with the face that was found' : 'the whole picture cannot be shown here')
    : 'Click the right face, or move with the arrow keys and press Enter. 0: the right face is not there. Escape: back.'
  at('aim').replaceChildren(...(pointing === null ? [] : [
    drawn('line', {x1: pointing[0], x2: pointing[0], y1: 0, y2: height}),
    drawn('line', {y1: pointing[1], y2: pointing[1], x1: 0, x2: width}),
  ]))
}

const drawNeighbours = item => {
  at('others').hidden = item.neighbours.length === 0
  at('neighbours').replaceChildren(...item.others.map((image, place) => {
    const entry = document.createElement('li'), button = document.createElement('button'), picture = document.createElement('img')
    button.type = 'button'
    button.setAttribute('aria-pressed', place === chosen)
    button.addEventListener('click', () => { chosen = place; drawNeighbours(item) })
    picture.alt = `neighbour ${place + 1}: ${item.neighbours[place]}`
    if (image) picture.src = image.src
    button.append(picture)
    entry.append(button)
    return entry
  }))
}

const drawSaid = said => {
  for (const button of document.querySelectorAll('[data-kind]')) {
    const same = said && button.dataset.kind === said.kind && (button.dataset.value ?? '') === (said.kind === 'other_label' ? said.value : '')
    button.setAttribute('aria-pressed', Boolean(same))
  }
}

const show = async number => {
  if (number < 0 || number >= start.all) return say(number < 0 ? 'This is the first one.' : 'This was the last one.')
  here = number
  const item = await load(number).catch(error => {
    items.delete(number)
    if (here === number) say(`Sample ${number + 1} cannot be shown: ${error.message}`, true)
    return null
  })
  if (item === null || here !== number) return
  shown = item
  chosen = 0
  pointing = null
  if (item.crop) at('crop').src = item.crop.src
  else at('crop').removeAttribute('src')
  at('label').textContent = item.label ?? 'no label'
  const answer = item.answer && item.answer !== item.label ? `suggested: ${item.answer}` : ''
  const score = item.score === null ? '' : ` ${item.score.toFixed(2)}`
  at('why').textContent = [`${here + 1} of ${start.all}`, `${item.reason}${score}`, item.detail, answer].filter(Boolean).join(' · ')
  at('sample').textContent = item.sample
  at('terms').textContent = start.terms[item.dataset] ?? ''
  drawFace(item)
  drawAim()
  drawNeighbours(item)
  drawSaid(item.said)
  document.body.dataset.shown = number
  for (let next = number + 1; next <= number + AHEAD; next++) load(next)?.catch(() => items.delete(next))
  forget()
}

const say = (text, failed = false) => {
  at('status').textContent = text
  at('status').classList.toggle('failed', failed)
}

const tell = progress => {
  at('bar').max = progress.all
  at('bar').value = progress.decided
  at('progress').textContent = `${progress.decided} of ${progress.all} decided as ${start.by}`
  at('undo').disabled = !progress.undo
}

const agree = async () => {
  const pairs = await (await fetch('agreement')).json()
  at('agreement').textContent = pairs.map(({first, second, samples, same, kappa}) =>
    `${first} and ${second}: ${same} of ${samples} alike, kappa ${kappa === null ? 'not defined' : kappa.toFixed(2)}.`).join(' ')
}

const post = (path, body) => {
  unsaved += 1
  say(`${unsaved} being saved`)
  // One after the other, so that undo meets the decision that was made last.
  waiting = waiting.then(async () => {
    const answer = await fetch(path, {method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify(body)})
    const said = await answer.json()
    if (!answer.ok) throw new Error(said.error)
    unsaved -= 1
    tell(said)
    say(unsaved ? `${unsaved} being saved` : 'saved')
    return said
  })
  waiting = waiting.catch(error => {
    unsaved = 0
    say(closed ? 'closed' : `Not saved: ${error.message}. Start prep review again if it has ended.`, true)
    return null
  })
  return waiting
}

const decide = (kind, value = '') => {
  if (shown === null || shown.number !== here) return
  const item = shown, number = here, before = item.said
  item.said = {kind, value}
  post('decide', {number, kind, value}).then(said => {
    if (said === null) { item.said = before; show(number) }
    else if (said.decided % 10 === 0) agree()
  })
  if (number + 1 < start.all) show(number + 1)
  else { drawSaid(shown.said); waiting.then(agree) }
}

const link = kind => {
  if (shown === null || shown.neighbours.length === 0) return
  const name = kind === 'same_person' ? 'same person' : 'same picture'
  post('decide', {number: here, kind, neighbour: chosen}).then(said => said && say(`saved: ${name} as neighbour ${chosen + 1}`))
}

const undo = async () => {
  const said = await post('undo', {})
  if (!said) return
  if (said.number === null) return say('Nothing to undo.')
  items.delete(said.number)
  await show(said.number)
  say('taken back')
}

const turn = () => {
  if (shown === null || shown.neighbours.length === 0) return
  chosen = (chosen + 1) % shown.neighbours.length
  drawNeighbours(shown)
}

const point = () => {
  if (shown === null || !shown.size) return say('There is no whole picture to point at.')
  pointing = [shown.size[0] / 2, shown.size[1] / 2]
  drawAim()
}

const place = () => decide('wrong_face', pointing.map(number => Math.round(number * 10) / 10).join(' '))

const aim = event => {
  const steps = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}
  if (event.key in steps) {
    const share = event.shiftKey ? 0.1 : 0.02
    pointing = pointing.map((number, axis) => Math.min(Math.max(number + steps[event.key][axis] * share * shown.size[axis], 0), shown.size[axis] - 1))
    drawAim()
  } else if (event.key === 'Enter') place()
  else if (event.key === '0') decide('wrong_face')
  else if (event.key === 'Escape') { pointing = null; drawAim() }
  else return
  event.preventDefault()
}

const press = event => {
  if (event.ctrlKey || event.metaKey || event.altKey || closed) return
  if (pointing !== null) return aim(event)
  const key = event.key.toLowerCase()
  if (key in KEYS) decide(KEYS[key])
  else if (/^[1-8]$/.test(key)) decide('other_label', start.classes[key - 1])
  else if (key === 'w') point()
  else if (key === 'z') undo()
  else if (key === 'n') turn()
  else if (key === 'p') link('same_person')
  else if (key === 'c') link('same_picture')
  else if (event.key === 'ArrowLeft') show(here - 1)
  else if (event.key === 'ArrowRight') show(here + 1)
  else return
  event.preventDefault()
}

const clickPicture = event => {
  if (pointing === null) return
  const matrix = at('picture').getScreenCTM().inverse()
  const spot = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix)
  if (spot.x < 0 || spot.y < 0 || spot.x >= shown.size[0] || spot.y >= shown.size[1]) return
  pointing = [spot.x, spot.y]
  place()
}

const close = async () => {
  await waiting
  await post('close', {}).catch(() => {})
  closed = true
  say('Closed: everything is saved. You can close this tab.')
}

const begin = async () => {
  start = await (await fetch('start')).json()
  start.classes.forEach((name, place) => {
    const button = document.createElement('button'), key = document.createElement('kbd')
    button.type = 'button'
    button.dataset.kind = 'other_label'
    button.dataset.value = name
    key.textContent = place + 1
    button.append(key, ` ${name}`)
    at('classes').append(button)
  })
  for (const button of document.querySelectorAll('[data-kind]')) {
    const {kind, value} = button.dataset
    button.addEventListener('click', () => kind === 'wrong_face' ? point() : decide(kind, value ?? ''))
  }
  for (const button of document.querySelectorAll('[data-link]')) button.addEventListener('click', () => link(button.dataset.link))
  at('undo').addEventListener('click', undo)
  at('back').addEventListener('click', () => show(here - 1))
  at('forth').addEventListener('click', () => show(here + 1))
  at('turn').addEventListener('click', turn)
  at('close').addEventListener('click', close)
  at('picture').addEventListener('click', clickPicture)
  document.addEventListener('keydown', press)
  tell(start)
  agree()
  await show(start.next ?? 0)
  say(start.next === null ? 'Everything here is decided.' : '')
}

begin()
