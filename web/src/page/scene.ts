import {
  Box3, Color, GridHelper, Group, HemisphereLight, DirectionalLight, Mesh, MeshStandardMaterial,
  NeutralToneMapping, PerspectiveCamera, PMREMGenerator, Scene as Stage, Spherical, Vector3, WebGLRenderer,
} from "three";
import { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";
import { RoomEnvironment } from "three/examples/jsm/environments/RoomEnvironment.js";
import { GLTFLoader } from "three/examples/jsm/loaders/GLTFLoader.js";

export interface Scene {
  /** Turn or zoom by a key; whether it was one of ours. */
  key(name: string): boolean;
  reset(): void;
  remove(): void;
}

const STEP = Math.PI / 16;
const ZOOM = 1.15;
const TURN = Math.PI * 0.2;
const KEYS: Record<string, (view: Spherical) => void> = {
  ArrowLeft: (view) => (view.theta -= STEP),
  ArrowRight: (view) => (view.theta += STEP),
  ArrowUp: (view) => (view.phi -= STEP),
  ArrowDown: (view) => (view.phi += STEP),
  "+": (view) => (view.radius /= ZOOM),
  "=": (view) => (view.radius /= ZOOM),
  "-": (view) => (view.radius *= ZOOM),
};

/** Show a GLB on a canvas, standing on a plate of squares; null where there is no WebGL. Draws only when something moves. */
export async function show(canvas: HTMLCanvasElement, url: string, sizeMm: number): Promise<Scene | null> {
  const renderer = rendererOf(canvas);
  if (renderer === null) return null;
  const loaded = await new GLTFLoader().loadAsync(url).catch((error: unknown) => {
    renderer.dispose();
    throw error;
  });

  const clay = new MeshStandardMaterial({ roughness: 0.75, flatShading: true });
  loaded.scene.traverse((part) => {
    if (part instanceof Mesh) part.material = clay;
  });
  const { model, size } = settled(loaded.scene, sizeMm);
  const reach = size.length();

  const stage = new Stage();
  const room = new PMREMGenerator(renderer);
  stage.environment = room.fromScene(new RoomEnvironment(), 0.04).texture;
  stage.environmentIntensity = 0.25;
  const sun = new DirectionalLight(0xffffff, 2.4);
  sun.position.set(-1, 0.9, 0.5);
  stage.add(model, sun, new HemisphereLight(0xffffff, 0x6b5f52, 0.6));

  const camera = new PerspectiveCamera(32, 1, reach / 100, reach * 20);
  const controls = new OrbitControls(camera, canvas);
  controls.enablePan = false;
  controls.minDistance = reach * 0.4;
  controls.maxDistance = reach * 6;
  controls.target.set(0, size.y / 2, 0);

  let plate: GridHelper | null = null;
  let asked = 0;
  const draw = () => {
    asked = 0;
    renderer.render(stage, camera);
  };
  const ask = () => (asked ||= requestAnimationFrame(draw));
  const fit = () => {
    const { clientWidth, clientHeight } = canvas;
    if (!clientWidth || !clientHeight) return;
    renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    renderer.setSize(clientWidth, clientHeight, false);
    camera.aspect = clientWidth / clientHeight;
    camera.updateProjectionMatrix();
    ask();
  };
  const look = (view: Spherical) => {
    camera.position.setFromSpherical(view.makeSafe()).add(controls.target);
    controls.update();
    ask();
  };
  // What lies flat is seen from above.
  const tilt = size.y < 0.4 * Math.max(size.x, size.z) ? Math.PI * 0.2 : Math.PI * 0.38;
  const reset = () => look(new Spherical(reach * 1.9, tilt, TURN));
  const paint = () => {
    const styles = getComputedStyle(canvas);
    clay.color = new Color(styles.getPropertyValue("--clay").trim());
    plate?.dispose();
    plate?.removeFromParent();
    plate = plateFor(size, squareMm(sizeMm), new Color(styles.getPropertyValue("--grid").trim()));
    stage.add(plate);
    ask();
  };

  // Scrolling past must not get caught: the wheel zooms once the model has been touched, and a finger going up scrolls on.
  const zoom = () => (controls.enableZoom = document.activeElement === canvas);
  const take = () => canvas.focus({ preventScroll: true });
  canvas.style.touchAction = "pan-y";
  canvas.addEventListener("focus", zoom);
  canvas.addEventListener("blur", zoom);
  canvas.addEventListener("pointerdown", take);
  zoom();

  const watch = new ResizeObserver(fit);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  controls.addEventListener("change", ask);
  dark.addEventListener("change", paint);
  watch.observe(canvas);
  paint();
  fit();
  reset();

  return {
    key(name) {
      const move = KEYS[name];
      if (!move) return false;
      const view = new Spherical().setFromVector3(camera.position.clone().sub(controls.target));
      move(view);
      view.radius = Math.min(Math.max(view.radius, controls.minDistance), controls.maxDistance);
      look(view);
      return true;
    },
    reset,
    remove() {
      cancelAnimationFrame(asked);
      watch.disconnect();
      canvas.removeEventListener("focus", zoom);
      canvas.removeEventListener("blur", zoom);
      canvas.removeEventListener("pointerdown", take);
      dark.removeEventListener("change", paint);
      controls.dispose();
      plate?.dispose();
      clay.dispose();
      loaded.scene.traverse((part) => part instanceof Mesh && part.geometry.dispose());
      room.dispose();
      renderer.dispose();
    },
  };
}

function rendererOf(canvas: HTMLCanvasElement): WebGLRenderer | null {
  try {
    const renderer = new WebGLRenderer({ canvas, antialias: true, alpha: true });
    renderer.toneMapping = NeutralToneMapping;
    return renderer;
  } catch {
    return null;
  }
}

/** The model in millimetres, its middle above the origin, its foot on the plate. */
function settled(scene: Group, sizeMm: number): { model: Group; size: Vector3 } {
  const size = new Box3().setFromObject(scene).getSize(new Vector3());
  const model = new Group().add(scene);
  model.scale.setScalar(sizeMm / Math.max(size.x, size.y, size.z));
  const box = new Box3().setFromObject(model);
  const middle = box.getCenter(new Vector3());
  model.position.set(-middle.x, -box.min.y, -middle.z);
  return { model, size: box.getSize(new Vector3()) };
}

/** The side of the plate's squares, in millimetres, below a model of such a size. */
export function squareMm(sizeMm: number): number {
  return sizeMm > 600 ? 100 : sizeMm > 30 ? 10 : 1;
}

/** A plate somewhat larger than the model. */
function plateFor(size: Vector3, square: number, colour: Color): GridHelper {
  const count = 2 * Math.ceil((Math.max(size.x, size.z) * 0.8) / square);
  return new GridHelper(count * square, count, colour, colour);
}
