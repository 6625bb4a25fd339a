import { Scrubber } from "../views/layers/scrubber";
import { widget } from "./mount";

export default widget(Scrubber, "Scrubber");
